"""Writing: a run appears whole or not at all, and a pack loses nothing and waits for nobody."""

import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from softh.errors import InputError
from softh.locks import lock
from softh.store import plane, read, run_files, write
from tests.store_rows import record

ROOT = Path(__file__).parents[1]


OWNER = "from softh import access; access.set_identity_provider(access.Person)\n"
"""Code that a process of its own begins with, to act as the owner of the machine."""


def python(code: str, *arguments: object, **options: object) -> subprocess.Popen[str]:
    """A process of its own that knows the project and the rows of these tests."""
    return subprocess.Popen(
        [sys.executable, "-c", OWNER + code, *map(str, arguments)],
        text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        cwd=ROOT, **options,
    )  # fmt: skip


def test_every_run_has_the_same_types_even_where_all_is_null(tmp_path: Path) -> None:
    bare = record("00bb")
    bare["checkpoint"]["step"] = None
    for row in bare["measures"]:
        row.update(layer=None, variable=None, ngram=None, value=None, se_draws=None, labels=None, draws=None)
    kinds = [pl.read_parquet(write.save(each, tmp_path)).schema for each in (record("00aa"), bare)]
    assert kinds == [run_files.types()] * 2


def test_a_run_is_one_row_in_its_own_file_and_nothing_else(tmp_path: Path) -> None:
    path = write.save(record("00aa"), tmp_path)
    assert path == tmp_path / "runs" / "00aa.parquet"
    assert [each.name for each in path.parent.iterdir()] == ["00aa.parquet"]
    assert pl.read_parquet(path).height == 1


def test_saving_the_same_estimate_again_replaces_it(tmp_path: Path) -> None:
    write.save(record("00aa", step=1), tmp_path)
    write.save(record("00aa", step=2), tmp_path)
    assert read.estimates(tmp_path)["step"].to_list() == [2]


def test_the_digest_of_the_checkpoint_is_filled_in(tmp_path: Path) -> None:
    given = record("00aa", digest="d9")
    del given["estimate"]["digest"]
    write.save(given, tmp_path)
    assert read.estimates(tmp_path)["digest"].to_list() == ["d9"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda r: r["model"].pop("width"), "model of the record has missing or unknown columns: width"),
        (lambda r: r["measures"][0].update(colour=1), "unknown columns: colour"),
        (lambda r: r["estimate"].update(corpus=None), "no value for corpus in estimates"),
        (lambda r: r["measures"][3].update(positions=None), "no value for positions in measures"),
    ],
)
def test_a_record_that_breaks_the_rules_is_not_stored(tmp_path: Path, change: Callable, words: str) -> None:
    wrong = record()
    change(wrong)
    with pytest.raises(ValueError, match=words):
        write.save(wrong, tmp_path)
    assert read.version(tmp_path) == read.version(tmp_path / "none")


def test_pack_changes_no_answer_and_removes_the_runs(tmp_path: Path) -> None:
    write.save(record("00aa"), tmp_path)
    write.pack(tmp_path)
    write.save(record("00bb", model="other", shift=0.1), tmp_path)
    write.save(record("00aa", shift=0.2), tmp_path)
    questions = (read.models, read.estimates, read.trajectory, lambda d: read.measures(d, "00aa"))
    # Whether an estimate is one's own, still in data/runs, is what a pack does change.
    before = [ask(tmp_path).drop("own", strict=False) for ask in questions]
    assert write.pack(tmp_path) == write.Packed(folded=2, invalid_files=[])
    assert list((tmp_path / "runs").iterdir()) == []
    assert [each.name for each in tmp_path.glob("softh*")] == ["softh.duckdb"]
    for ask, expected in zip(questions, before, strict=True):
        assert_frame_equal(ask(tmp_path).drop("own", strict=False), expected)


def test_pack_keeps_benchmarks(tmp_path: Path) -> None:
    write.save(record("00aa"), tmp_path)
    columns = ("model", "revision", "task", "metric", "score", "stderr", "source")
    score = ("tiny", None, "GPQA", "accuracy", 0.25, None, "nowhere")
    write.pack(tmp_path, [dict(zip(columns, score, strict=True))])
    write.save(record("00bb"), tmp_path)
    write.pack(tmp_path)
    assert read.benchmarks(tmp_path).rows() == [score]


def test_pack_leaves_damaged_files_where_they_are_and_names_them(tmp_path: Path) -> None:
    write.save(record("00aa"), tmp_path)
    damaged = tmp_path / "runs" / "00bb.parquet"
    damaged.write_bytes(b"PAR1 and no more")
    packed = write.pack(tmp_path)
    assert packed.folded == 1
    assert len(packed.invalid_files) == 1
    assert packed.invalid_files[0].startswith("00bb.parquet is left out")
    assert damaged.exists()


def test_pack_of_nothing_makes_nothing(tmp_path: Path) -> None:
    assert write.pack(tmp_path / "data") == write.Packed(folded=0, invalid_files=[])
    assert not (tmp_path / "data" / "softh.duckdb").exists()


def test_two_packs_at_once_are_refused(tmp_path: Path) -> None:
    write.save(record("00aa"), tmp_path)
    with lock(tmp_path), pytest.raises(InputError, match="Another pack is running"):
        write.pack(tmp_path)
    assert write.pack(tmp_path).folded == 1


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    data = tmp_path / "file" / "data"
    for attempt in (lambda: write.check_writable(data), lambda: write.save(record(), data), lambda: write.pack(data)):
        with pytest.raises(InputError, match=r"could (not be|be) .* \(Not a directory\): free some space .* --data"):
            attempt()


def test_a_writable_folder_is_made_and_left_empty(tmp_path: Path) -> None:
    write.check_writable(tmp_path / "new" / "data")
    assert list((tmp_path / "new" / "data" / "runs").iterdir()) == []


@pytest.mark.parametrize("step", ["check_writable(data)", "save(record('00bb'), data)", "pack(data)"])
def test_a_full_disk_is_a_sentence_and_loses_nothing(tmp_path: Path, step: str) -> None:
    write.save(record("00aa"), tmp_path)
    write.pack(tmp_path)
    write.save(record("00aa", step=65), tmp_path)
    before = read.estimates(tmp_path)
    limit = 3 if "check" in step else 2_000
    code = (
        "import sys, resource; from pathlib import Path; from tests.store_rows import record\n"
        "from softh.errors import InputError; from softh.store import write\n"
        "data = Path(sys.argv[1])\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))\n"
        f"try: write.{step}\n"
        "except InputError as error: sys.exit(f'sentence: {error}')"
    )
    _, errors = python(code, tmp_path).communicate(timeout=60)
    assert errors.startswith("sentence: "), errors
    assert "free some space" in errors
    assert_frame_equal(read.estimates(tmp_path), before)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["00aa.parquet", "runs", "softh.duckdb"]


def test_an_open_reader_blocks_neither_a_save_nor_a_pack(tmp_path: Path) -> None:
    write.save(record("00aa"), tmp_path)
    write.pack(tmp_path)
    code = (
        "import sys; from pathlib import Path; from softh.store import read\n"
        "connection = read.connect(Path(sys.argv[1]))\n"
        "count = lambda: connection.execute('SELECT count(*) FROM estimates').fetchall()[0][0]\n"
        "for line in sys.stdin: print(count(), flush=True)"
    )
    reader = python(code, tmp_path)
    try:
        reader.stdin.write("count\n")
        reader.stdin.flush()
        assert reader.stdout.readline() == "1\n"
        write.save(record("00bb"), tmp_path)
        assert write.pack(tmp_path).folded == 1
        reader.stdin.write("count\n")
        reader.stdin.flush()
        assert reader.stdout.readline() == "1\n"
    finally:
        reader.communicate(timeout=30)
    assert read.estimates(tmp_path).height == 2


def test_a_reader_during_packs_misses_no_estimate(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from tests.store_rows import record; from softh.store import write\n"
        "for i in range(12): write.save(record(f'{i:04x}'), Path(sys.argv[1])); write.pack(Path(sys.argv[1]))"
    )
    packer = python(code, tmp_path)
    heights = [0]
    while packer.poll() is None:
        heights.append(read.estimates(tmp_path).height)
    assert packer.communicate()[1] == ""
    assert heights == sorted(heights)
    assert read.estimates(tmp_path).height == 12


def test_a_killed_writer_leaves_whole_runs_only(tmp_path: Path) -> None:
    code = (
        "import sys, itertools; from pathlib import Path; from tests.store_rows import record\n"
        "from softh.store import run_files, write\n"
        "row = record(); row['measures'] *= 40; run_files.encode(row); print('ready', flush=True)\n"
        "for i in itertools.cycle(range(20)):\n"
        "    row['estimate']['estimate_id'] = f'{i:04x}'; write.save(row, Path(sys.argv[1]))"
    )
    chance = random.Random(0)
    for _ in range(5):
        writer = python(code, tmp_path)
        writer.stdout.readline()
        time.sleep(chance.uniform(0.05, 0.3))
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
        assert read.warnings(tmp_path) == []
    assert read.estimates(tmp_path).height > 0


def test_packed_means_are_those_of_their_definition(tmp_path: Path) -> None:
    for place, name in enumerate(("00aa", "00bb")):
        write.save(record(name, shift=place / 100), tmp_path)
    computed = read.trajectory(tmp_path)
    write.pack(tmp_path)
    assert has_means(tmp_path)
    assert_frame_equal(read.trajectory(tmp_path).drop("own"), computed.drop("own"))


def test_a_database_that_was_packed_without_means_gives_the_same(tmp_path: Path) -> None:
    write.save(record("00aa"), tmp_path)
    write.pack(tmp_path)
    older = tmp_path / "older"
    older.mkdir()
    shutil.copy(tmp_path / "softh.duckdb", older)
    with duckdb.connect(str(older / "softh.duckdb")) as connection:
        connection.execute(f"ALTER TABLE {plane.MEANS} RENAME TO means_of_another_definition")
        connection.execute("DELETE FROM means_of_another_definition")
    assert not has_means(older)
    assert_frame_equal(read.trajectory(older), read.trajectory(tmp_path))


def test_a_run_wins_over_the_packed_mean_of_its_id(tmp_path: Path) -> None:
    write.save(record("00aa"), tmp_path)
    write.save(record("00bb"), tmp_path)
    write.pack(tmp_path)
    write.save(record("00aa", shift=0.1), tmp_path)
    rows = read.trajectory(tmp_path, order=1, correction="raw")
    assert dict(rows.select("estimate_id", "input").rows()) == pytest.approx({"00aa": 0.51, "00bb": 0.41})
    assert dict(rows.select("estimate_id", "own").rows()) == {"00aa": True, "00bb": False}


def has_means(data: Path) -> bool:
    with duckdb.connect(str(data / "softh.duckdb"), read_only=True) as connection:
        return (plane.MEANS,) in connection.execute("SHOW TABLES").fetchall()


def score(model: str, value: float, source: str = "here") -> dict[str, object]:
    return {
        "model": model,
        "revision": None,
        "task": "cloze",
        "metric": "accuracy",
        "score": value,
        "stderr": 0.1,
        "source": source,
    }


def test_scores_take_the_place_of_those_of_the_same_model_and_source(tmp_path: Path) -> None:
    write.save(record("00aa"), tmp_path)
    write.pack(tmp_path, [score("A", 0.1), score("B", 0.2), score("A", 0.3, "elsewhere")])
    write.pack(tmp_path, [score("A", 0.4)])
    write.pack(tmp_path)
    found = read.benchmarks(tmp_path)
    assert sorted(zip(found["model"], found["source"], found["score"], strict=True)) == [
        ("A", "elsewhere", 0.3), ("A", "here", 0.4), ("B", "here", 0.2),
    ]  # fmt: skip
    assert read.estimates(tmp_path).height == 1
