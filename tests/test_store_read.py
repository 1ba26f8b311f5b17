"""Reading: literal rows come back in every question, and damaged files cost nothing but themselves."""

import shutil
from datetime import datetime
from pathlib import Path

import duckdb
import polars as pl
import pyarrow.parquet as pq
import pytest
from polars.testing import assert_frame_equal

from softh.errors import InputError
from softh.store import intake, packed, read, run_files, write
from tests.store_rows import record

QUESTIONS = {
    "models": read.models,
    "benchmarks": read.benchmarks,
    "estimates": read.estimates,
    "trajectory": read.trajectory,
    "measures": lambda data: read.measures(data, "00aa"),
    "layers": lambda data: read.layers(data, "00aa"),
}


def test_nothing_stored_is_empty_frames_with_all_columns(tmp_path: Path) -> None:
    missing = {name: ask(tmp_path / "none") for name, ask in QUESTIONS.items()}
    write.save(record(), tmp_path)
    for name, ask in QUESTIONS.items():
        assert missing[name].is_empty()
        assert missing[name].schema == ask(tmp_path).schema, name


def test_an_estimate_is_joined_with_its_model_checkpoint_and_loss(tmp_path: Path) -> None:
    write.save(record(), tmp_path)
    row = read.estimates(tmp_path).row(0, named=True)
    assert (row["model"], row["family"], row["layers"], row["stage"]) == ("tiny", "Tiny", 2, None)
    assert (row["revision"], row["digest"], row["step"], row["tokens"]) == ("step64", "d1", 64, None)
    assert (row["bits_per_byte"], row["bits_per_byte_se_documents"]) == (1.25, 0.02)
    assert row["created_at"] == datetime(2026, 11, 1, 12)


def test_a_moved_branch_keeps_the_checkpoint_of_each_estimate(tmp_path: Path) -> None:
    write.save(record("00aa", revision="main", digest="old", step=1), tmp_path)
    write.save(record("00bb", revision="main", digest="new", step=2), tmp_path)
    assert read.estimates(tmp_path).select("estimate_id", "digest", "step").rows() == [
        ("00aa", "old", 1),
        ("00bb", "new", 2),
    ]


def test_the_stores_of_two_folders_stay_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Path] = []
    attach = packed.attach
    monkeypatch.setattr(packed, "attach", lambda *given: opened.append(given[1].parent) or attach(*given))
    first, second = tmp_path / "first", tmp_path / "second"
    write.save(record("00aa"), first)
    write.save(record("00bb"), second)
    for _ in range(3):
        assert read.estimates(first)["estimate_id"].to_list() == ["00aa"]
        assert read.estimates(second)["estimate_id"].to_list() == ["00bb"]
    assert opened == [first, second]


def test_the_newest_run_describes_its_model(tmp_path: Path) -> None:
    late = record("00aa", created_at=datetime(2026, 11, 3))
    late["model"]["family"] = "Late"
    write.save(late, tmp_path)
    write.save(record("00bb", created_at=datetime(2026, 11, 2)), tmp_path)
    assert read.models(tmp_path).select("model", "family").rows() == [("tiny", "Late")]


def test_trajectory_gives_the_mean_over_layers_in_order_of_steps(tmp_path: Path) -> None:
    write.save(record("00bb", revision="step128", step=128, shift=0.1), tmp_path)
    write.save(record("00aa", revision="step64", step=64), tmp_path)
    write.save(record("00cc", model="other"), tmp_path)
    rows = read.trajectory(tmp_path, models=["tiny"], corpus="python-docs", order=2, correction="corrected")
    assert rows["step"].to_list() == [64, 128]
    assert rows["input"].to_list() == pytest.approx([0.32, 0.42])
    assert rows["output"].to_list() == pytest.approx([0.12, 0.22])
    assert rows["entropy"].to_list() == pytest.approx([0.9, 1.0])
    assert rows["optimality"].to_list() == [None, None]
    assert rows["input_draws"].to_list() == [pytest.approx([0.32, 0.32]), pytest.approx([0.42, 0.42])]
    assert set(rows["input_se_draws"]) == {0.01}
    assert set(rows["output_se_documents"]) == {0.02}
    assert set(rows["input_labels"]) == {100}
    assert set(rows["positions"]) == {1_000}
    assert set(rows["ngram"]) == {2}


def test_trajectory_unfiltered_has_every_order_and_correction(tmp_path: Path) -> None:
    write.save(record(), tmp_path)
    assert set(read.trajectory(tmp_path).select("ngram", "correction").rows()) == {
        (order, correction) for order in (1, 2) for correction in ("raw", "null", "corrected")
    }


def test_settings_are_equal_exactly_where_only_the_checkpoint_differs(tmp_path: Path) -> None:
    write.save(record("00aa", revision="step1"), tmp_path)
    write.save(record("00bb", revision="step2"), tmp_path)
    other_seed = record("00cc")
    other_seed["estimate"]["spec"] = other_seed["estimate"]["spec"].replace('"seed":0', '"seed":1')
    write.save(other_seed, tmp_path)
    other_text = record("00dd")
    other_text["estimate"]["corpus_digest"] = "c2"
    write.save(other_text, tmp_path)
    settings = dict(read.estimates(tmp_path).select("estimate_id", "settings").rows())
    assert settings["00aa"] == settings["00bb"]
    assert len(set(settings.values())) == 3


def test_layers_go_from_the_embedding_to_the_last(tmp_path: Path) -> None:
    write.save(record(), tmp_path)
    rows = read.layers(tmp_path, "00aa", order=1, correction="raw")
    assert rows["layer"].to_list() == [0, 1, 2]
    assert rows["input"].to_list() == pytest.approx([0.41, 0.411, 0.412])
    assert rows["optimality"].to_list() == [0.5, 0.5, 0.5]
    assert rows["entropy"].to_list() == [0.9, 0.9, 0.9]
    assert read.layers(tmp_path, "00aa").height == 3 * 2 * 3


def test_measures_are_the_rows_that_were_saved(tmp_path: Path) -> None:
    saved = record()
    write.save(saved, tmp_path)
    expected = pl.DataFrame(saved["measures"], schema=run_files.parts()["measures"].types)
    found = read.measures(tmp_path, "00aa")
    assert found["layer"][0] is None
    assert_frame_equal(found.drop("estimate_id"), expected, check_row_order=False)


def test_an_estimate_is_found_by_the_beginning_of_its_id(tmp_path: Path) -> None:
    write.save(record("00aa"), tmp_path)
    write.save(record("00ab"), tmp_path)
    assert read.find_estimate(tmp_path, "00ab")["estimate_id"].item() == "00ab"
    with pytest.raises(InputError, match=r"'00a' begins 2 stored estimates \(00aa, 00ab"):
        read.find_estimate(tmp_path, "00a")
    with pytest.raises(InputError, match="No stored estimate has the id '%'"):
        read.find_estimate(tmp_path, "%")


def test_damaged_and_foreign_files_are_named_and_left_out(tmp_path: Path) -> None:
    whole = write.save(record("00aa"), tmp_path).read_bytes()
    runs = tmp_path / "runs"
    (runs / "00b1.parquet").write_bytes(whole[: len(whole) // 2])
    (runs / "00b2.parquet").write_bytes(b"")
    (runs / "00b3.parquet").write_bytes(whole)
    pl.DataFrame({"a": [1]}).write_parquet(runs / "00b4.parquet")
    (runs / "00b5.parquet").mkdir()
    (runs / "notes.txt").write_text("not a run")
    assert read.estimates(tmp_path)["estimate_id"].to_list() == ["00aa"]
    problems = read.warnings(tmp_path)
    assert [problem.split()[0] for problem in problems] == [f"00b{i}.parquet" for i in range(1, 6)]
    assert "another estimate than its name says" in problems[2]
    assert "columns are not those of a run" in problems[3]
    assert all(len(problem.splitlines()) == 1 for problem in problems)


def test_a_flipped_byte_is_noticed_or_changes_no_number(tmp_path: Path) -> None:
    path = write.save(record("00aa"), tmp_path)
    whole, rows = path.read_bytes(), pl.read_parquet(path)
    noticed = 0
    for place in range(0, len(whole), 29):
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        path.write_bytes(damaged)
        if intake.find_defect(path) is None:
            assert_frame_equal(pl.DataFrame(pq.read_table(path)), rows)
        else:
            noticed += 1
    assert noticed > len(whole) / 29 / 2


def test_a_repaired_file_is_seen_again(tmp_path: Path) -> None:
    path = write.save(record(), tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[:100])
    assert read.estimates(tmp_path).is_empty()
    path.write_bytes(whole)
    assert read.warnings(tmp_path) == []
    assert read.estimates(tmp_path).height == 1


def test_a_newer_run_is_named_and_left_out_and_the_others_are_shown(tmp_path: Path) -> None:
    write.save(record("00bb"), tmp_path)
    path = write.save(record(), tmp_path)
    pl.read_parquet(path).with_columns(schema_version=pl.lit(30, pl.Int32), more=pl.lit("x")).write_parquet(path)
    assert read.estimates(tmp_path)["estimate_id"].to_list() == ["00bb"]
    [warning] = read.warnings(tmp_path)
    assert warning.startswith("00aa.parquet is left out, because it is from schema 30, this softh reads up to ")


def test_a_newer_database_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "softh.duckdb")) as connection:
        connection.execute("CREATE TABLE schema_version AS SELECT 4 AS version")
    with pytest.raises(InputError, match="The table is from schema 4, this softh reads up to 3: upgrade softh"):
        read.estimates(tmp_path)


@pytest.mark.parametrize("content", [b"", b"not a database" * 1_000])
def test_a_damaged_database_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "softh.duckdb").write_bytes(content)
    with pytest.raises(InputError, match=r"softh\.duckdb is not a database of softh .*: restore it"):
        read.estimates(tmp_path)


def test_someone_elses_database_is_named(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "softh.duckdb")) as connection:
        connection.execute("CREATE TABLE t (x INTEGER)")
    with pytest.raises(InputError, match="is not a database of softh"):
        read.estimates(tmp_path)


def test_the_version_changes_with_every_change_and_only_then(tmp_path: Path) -> None:
    seen = [read.version(tmp_path)]
    for change in (
        lambda: write.save(record("00aa"), tmp_path),
        lambda: write.save(record("00bb"), tmp_path),
        lambda: write.save(record("00aa"), tmp_path),
        lambda: write.pack(tmp_path),
    ):
        change()
        seen.append(read.version(tmp_path))
        assert read.version(tmp_path) == seen[-1]
    assert len(set(seen)) == len(seen)


def test_any_name_of_the_folder_will_do(tmp_path: Path) -> None:
    data = tmp_path / "a [b] 'c' * $x"
    write.save(record("00aa"), data)
    write.pack(data)
    write.save(record("00bb"), data)
    assert read.estimates(data).height == 2


def test_asking_changes_no_file(tmp_path: Path) -> None:
    write.save(record("00aa"), tmp_path)
    write.pack(tmp_path)
    copy = shutil.copytree(tmp_path, tmp_path.parent / "copy")
    for ask in QUESTIONS.values():
        ask(tmp_path)
    names = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*"))
    assert names == sorted(path.relative_to(copy) for path in copy.rglob("*"))
    assert (tmp_path / "softh.duckdb").read_bytes() == (copy / "softh.duckdb").read_bytes()
    with read.connect(tmp_path) as connection, pytest.raises(duckdb.Error):
        connection.execute("DELETE FROM stored.estimates")


def test_tables_open_in_a_notebook_that_has_no_progress_bar_to_switch_off(tmp_path: Path) -> None:
    class Notebook:
        """A connection in Jupyter without ipywidgets, where DuckDB refuses the setting."""

        def __init__(self) -> None:
            self.inner = duckdb.connect()

        def execute(self, sql: str, *values: object) -> duckdb.DuckDBPyConnection:
            if "progress_bar" in sql:
                raise duckdb.InvalidInputException("required package 'ipywidgets' is missing")
            return self.inner.execute(sql, *values)

    assert packed.attach(Notebook(), tmp_path / "softh.duckdb") == []
