"""One bad file, whatever is wrong with it, is named and left out, and every page shows the others."""

import json
import os
import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dashboard.views import registry
from softh import settings
from softh.cli import doctor
from softh.errors import InputError
from softh.store import connection, intake, read, run_files, schema, seal, share, write
from tests.store_rows import build_record

BAD = "00bb"


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SOFTH_DATA", str(tmp_path))
    write.save(build_record("Sound"), tmp_path)
    return tmp_path


def bad_record() -> dict[str, Any]:
    record = build_record("Bad", layers=2, orders=(1, 2), draws=2)
    record["estimate"] |= {"estimate_id": BAD, "digest": record["checkpoint"]["digest"]}
    return record


def store(record: dict[str, Any], data: Path, name: str = BAD) -> Path:
    """Write a run as another program might: with the right columns, and unchecked."""
    frame = pl.DataFrame([{"schema_version": schema.version(), **record}], schema=run_files.types())
    path = data / schema.RUNS / f"{name}.parquet"
    path.write_bytes(seal.encode(frame.to_arrow(compat_level=pl.CompatLevel.oldest())))
    return path


def down() -> list[str]:
    """Pages that end in anything but a view or a sentence."""
    found = []
    for page in registry.VIEWS:
        try:
            registry.build(page, {})
        except InputError as sentence:
            found += [f"{page}: {sentence}"] if len(str(sentence).splitlines()) != 1 else []
        except BaseException as error:  # noqa: BLE001 - a panic is one
            found.append(f"{page}: {type(error).__name__}: {error}")
    return found


def check(data: Path, *, named: bool = True) -> None:
    """The sound estimate is shown, no page is down, and the bad file is named and left out."""
    assert down() == []
    models = read.estimates(data)["model"].to_list()
    warnings = read.warnings(data)
    assert "Sound" in models
    assert all(len(warning.splitlines()) == 1 for warning in warnings)
    if named:
        assert models == ["Sound"]
        assert [warning.split()[0] for warning in warnings] == [f"{BAD}.parquet"]
    write.pack(data)
    assert "Sound" in read.estimates(data)["model"].to_list()


def change(part: str, **values: Any) -> Callable[[dict[str, Any]], None]:
    def changed(record: dict[str, Any]) -> None:
        for row in record[part] if part == "measures" else [record[part]]:
            row.update(values)

    return changed


ODD: dict[str, Callable[[dict[str, Any]], Any]] = {
    "a specification that is not JSON": change("estimate", spec="{"),
    "one that is a list": change("estimate", spec="[]"),
    "one that is a number": change("estimate", spec="1"),
    "one that is nested": change("estimate", spec='{"a":{"b":1}}'),
    "one that is nested deeply": change("estimate", spec='{"a":' + "[" * 9_000 + "]" * 9_000 + "}"),
    "orders that are none": change("estimate", spec='{"orders":5}'),
    "orders that are unknown": change("estimate", spec='{"orders":[1,99]}'),
    "versions that are a list": change("estimate", versions="[1]"),
    "infinite standard errors": change("measures", se_draws=float("inf")),
    "no number as a standard error": change("measures", se_documents=float("nan")),
    "negative standard errors": change("measures", se_draws=-1.0),
    "infinite values": change("measures", value=float("-inf")),
    "values that no square of is finite": change("measures", value=1e200),
    "infinite draws": change("measures", draws=[0.1, float("inf")]),
    "no parameters": change("model", parameters=0),
    "parameters below zero": change("model", parameters=-5),
    "two billion layers": change("model", layers=2_000_000_000),
    "a layer below zero": change("measures", layer=-1),
    "an unknown order": change("measures", ngram=99),
    "an unknown correction": change("measures", correction="other"),
    "a correction in capitals": change("measures", correction="RAW"),
    "no measure": lambda record: record.update(measures=[]),
    "a measure that is nothing": lambda record: record["measures"].append(None),
    "no model": lambda record: record.update(model=None),
    "a model of another name": change("model", model="Sound"),
    "a checkpoint of another revision": change("checkpoint", revision="other"),
    "a step below zero": change("checkpoint", step=-1),
    "a year that no calendar has": change("estimate", created_at=datetime(9999, 12, 31)),
    "a text of a megabyte": change("model", family="x" * (1 << 20)),
    "a temperature that is none": change("estimate", temperature=float("nan")),
}  # fmt: skip


@pytest.mark.parametrize("kind", ODD)
def test_odd_values_are_named_and_left_out(data: Path, kind: str) -> None:
    record = bad_record()
    ODD[kind](record)
    if kind == "a year that no calendar has":
        record["estimate"]["created_at"] = datetime(1, 1, 1)
    store(record, data)
    check(data)
    with pytest.raises((ValueError, TypeError)):
        run_files.encode(record)


def extremes(kind: pl.DataType) -> list[Any]:
    """Values of a type that a program may not expect."""
    if isinstance(kind, pl.List):
        return [None, [], [0.0] * 100, [3e38], [float("nan")]]
    if kind.is_float():
        return [None, 0.0, -0.0, 1e-320, 1e29, -1e29, 1e31, float("inf"), float("nan")]
    if kind == pl.Int32:
        return [None, 0, 1, -1, 2**31 - 1, -(2**31)]
    if kind.is_integer():
        return [None, 0, 1, -1, 2**63 - 1, -(2**63)]
    if kind == pl.String:
        return [None, "", "\x00", "\u202e", "0", "x" * 32_767, "x" * 32_768, "é" * 20_000, "<b>"]
    if kind == pl.Boolean:
        return [None, True]
    return [None, datetime(1, 1, 1), datetime(1970, 1, 1), datetime(9999, 12, 31)]


def columns() -> list[tuple[str, tuple[str, ...]]]:
    """All columns of every part of a run, six at a time."""
    each = ((part, list(table.types)) for part, table in run_files.parts().items())
    return [(part, tuple(names[n : n + 6])) for part, names in each for n in range(0, len(names), 6)]


@pytest.mark.parametrize(("part", "names"), columns())
def test_no_value_of_any_column_brings_a_page_down(data: Path, part: str, names: tuple[str, ...]) -> None:
    """What the store accepts lies in one share, a run for each value; what it refuses has a sentence."""
    types = run_files.parts()[part].types
    accepted = {}
    for number, (column, value) in enumerate((name, value) for name in names for value in extremes(types[name])):
        record = bad_record()
        change(part, **{column: value})(record)
        path = store(record, data)
        if (defect := intake.find_defect(path)) is not None:
            assert len(defect.splitlines()) == 1, (column, value)
            path.unlink()
        elif column != "estimate_id":
            record["estimate"]["estimate_id"] = name = f"{number:08x}"
            accepted[store(record, data, name)] = column, value
    (data / schema.RUNS / f"{BAD}.parquet").unlink(missing_ok=True)
    broken = down()
    assert "Sound" in read.estimates(data)["model"].to_list()
    assert len(read.estimates(data)) == 1 + len(accepted)
    assert not read.warnings(data)
    assert broken == [], list(accepted.values())


def _footer(content: bytearray) -> int:
    return len(content) - 8 - int.from_bytes(content[-8:-4], "little")


def _bit(place: Callable[[bytearray], int], bit: int) -> Callable[[bytearray], None]:
    def changed(content: bytearray) -> None:
        content[place(content)] ^= bit

    return changed


DAMAGE: dict[str, Callable[[bytearray], Any]] = {
    "a bit of the first field of the footer": _bit(lambda content: _footer(content) + 6, 1),
    "a bit at which a reader panics": _bit(lambda content: _footer(content) + 862, 128),
    "a footer of another length": _bit(lambda content: len(content) - 6, 0x7F),
    "a footer of no length": lambda content: content.__setitem__(slice(-8, -4), bytes(4)),
    "a checksum of another name": _bit(lambda content: content.rindex(b"softh.sha256") + 6, 1),
    "an end that is missing": lambda content: content.__delitem__(slice(-1, None)),
    "an end that is there twice": lambda content: content.extend(content[_footer(content) :]),
    "nothing in its place": lambda content: content.__setitem__(slice(100, 4_000), bytes(3_900)),
    "letters before its beginning": lambda content: content.__setitem__(slice(0, 0), b"x"),
}  # fmt: skip


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_file_is_named_and_costs_itself_alone(data: Path, kind: str) -> None:
    about = {"revision": None, "metric": "acc", "stderr": None, "source": "s"}
    scores = write.save_scores([{"model": "Bad", "task": "t", "score": 0.5, **about}], data)
    run = store(bad_record(), data)
    for path in (run, scores):
        content = bytearray(path.read_bytes())
        if path == run or "panics" not in kind:
            DAMAGE[kind](content)
        path.write_bytes(content)
    if kind == "a checksum of another name":  # then the checksums of the pages are what is left
        assert set(read.estimates(data)["model"]) <= {"Sound", "Bad"}
    else:
        assert read.estimates(data)["model"].to_list() == ["Sound"]
        assert any(warning.startswith(f"{BAD}.parquet is left out") for warning in read.warnings(data))
        assert any(finding.what == "run" and "remove the file" in finding.remedy for finding in doctor.examine(data))
    assert down() == []


@pytest.mark.parametrize("version", [30, 2**31 - 1, 0, -1, None])
def test_a_file_of_an_unknown_schema_is_named_and_left_out(data: Path, version: int | None) -> None:
    path = store(bad_record(), data)
    table = pq.read_table(path)
    column = pa.array([version], pa.int32())
    path.write_bytes(seal.encode(table.set_column(0, "schema_version", column).replace_schema_metadata(None)))
    assert read.estimates(data)["model"].to_list() == ["Sound"]
    assert [warning.split()[0] for warning in read.warnings(data)] == [path.name]
    assert down() == []


def test_a_run_that_unpacks_to_more_than_is_allowed_is_not_unpacked(data: Path) -> None:
    path = data / schema.RUNS / f"{BAD}.parquet"
    bombs = (
        pa.table({"model": ["m" * 1_000] * 600_000}),
        pa.table({"model": [["m" * 30_000] * 20_000]}),
        pa.table({f"c{i}": [1] for i in range(20_000)}),
    )
    for bomb in bombs:
        pq.write_table(bomb, path, compression="zstd")
        started = time.process_time()
        assert intake.find_defect(path) is not None
        assert time.process_time() - started < 10


@pytest.mark.parametrize("kind", ["folder", "pipe", "link to nothing", "link to a device", "socket"])
def test_what_is_no_file_holds_nothing_up(data: Path, kind: str) -> None:
    path = data / schema.RUNS / f"{BAD}.parquet"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to({"link to nothing": "nowhere", "link to a device": "/dev/zero", "socket": "/dev/null"}[kind])
    answered = threading.Event()
    thread = threading.Thread(target=lambda: (read.estimates(data), read.warnings(data), answered.set()), daemon=True)
    thread.start()
    assert answered.wait(30)
    assert read.estimates(data)["model"].to_list() == ["Sound"]
    assert down() == []


@pytest.mark.parametrize("kind", ["folder", "pipe", "link", "large"])
def test_an_entry_of_a_share_that_is_no_run_is_named_and_the_rest_is_fetched(
    data: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    lab = tmp_path_factory.mktemp("lab")
    monkeypatch.setenv("SOFTH_CACHE", str(data / "cache"))
    monkeypatch.setenv("SOFTH_RUNS", str(lab))
    monkeypatch.setattr(share, "POLL_INTERVAL", 0.0)
    write.save(build_record("Shared"), data)
    entry = lab / "x.parquet"
    if kind == "folder":
        entry.mkdir()
    elif kind == "pipe":
        os.mkfifo(entry)
    elif kind == "link":
        entry.symlink_to("/etc/passwd")
    else:
        with entry.open("wb") as file:
            file.truncate(1 << 40)
    write.save(build_record("Later"), data)
    assert {"Shared", "Later"} <= set(read.estimates(data)["model"])
    assert [warning for warning in read.warnings(data) if "x.parquet is left out" in warning]
    assert not list((data / "cache").rglob("x.parquet"))


def test_bad_rows_of_an_older_pack_are_named_and_left_out_and_the_next_pack_drops_them(data: Path) -> None:
    earlier = data / "earlier"
    for record in (build_record("Sound"), bad_record()):
        write.save(record, earlier)
    write.pack(earlier)
    made = data / "made.duckdb"
    made.write_bytes((earlier / schema.DATABASE).read_bytes())
    next((data / schema.RUNS).glob("*")).unlink()
    with duckdb.connect(str(data / schema.DATABASE)) as database:
        database.execute(f"ATTACH '{made}' AS old (READ_ONLY)")
        database.execute("CREATE TABLE schema_version AS FROM old.schema_version")
        for table in schema.names():
            database.execute(f"CREATE TABLE {table} AS FROM old.{table}")
        database.execute("UPDATE estimates SET spec = '{' WHERE model = 'Bad'")
    assert read.estimates(data)["model"].to_list() == ["Sound"]
    [warning] = read.warnings(data)
    assert warning.startswith("softh.duckdb has ")
    assert down() == []
    write.pack(
        data,
        [{"model": "Sound", "revision": None, "task": "t", "metric": "m", "score": 1.0, "stderr": None, "source": "s"}],
    )
    assert read.warnings(data) == []
    assert read.estimates(data)["model"].to_list() == ["Sound"]


def test_one_more_run_is_read_alone(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        write.save(build_record(f"Model-{number}"), data)
    read.estimates(data)
    judged: list[Path] = []
    judge = intake.judge
    monkeypatch.setattr(intake, "judge", lambda paths: judged.extend(paths) or judge(paths))
    path = write.save(build_record("More"), data)
    assert "More" in read.estimates(data)["model"].to_list()
    assert judged == [path]
    path.unlink()
    assert "More" not in read.estimates(data)["model"].to_list()
    assert judged == [path]
    write.pack(data)
    assert read.estimates(data).height == 6
    assert judged == [path]


def test_measures_in_memory_are_those_of_the_runs_that_are_there(data: Path) -> None:
    def held() -> tuple[int, int]:
        counts = "SELECT (SELECT count(*) FROM run), (SELECT count(*) FROM run_measures)"
        return read.query(data, counts).row(0)

    _, each = held()
    paths = [write.save(build_record(f"Model-{number}"), data) for number in range(3)]
    assert held() == (4, 4 * each)
    paths[0].unlink()
    assert held() == (3, 3 * each)
    paths[1].unlink()
    write.save(build_record("Model-1"), data)  # the same again
    assert held() == (3, 3 * each)
    paths[1].write_bytes(b"damaged")
    assert held() == (2, 2 * each)
    write.pack(data)
    assert held() == (0, 0)


def test_a_query_unpacks_no_run(data: Path) -> None:
    """A list in a row is unpacked whole at every query; rows of a table are chosen while they are read."""
    write.save(build_record("Model"), data)
    plan = read.query(data, "EXPLAIN FROM measures WHERE quantity = 'entropy'")
    assert "Unnest" not in plan["explain_value"].item()


def test_no_query_reads_a_file_or_changes_a_setting(data: Path) -> None:
    write.pack(data)
    for query in (
        "FROM read_text('/etc/hostname')", "FROM glob('/*')", "FROM read_csv('/etc/passwd')", "INSTALL httpfs",
        "ATTACH '/tmp/other.duckdb'", "COPY (SELECT 1) TO '/tmp/softh-fault'", "SET enable_external_access = true",
        "FROM read_blob('/proc/self/environ')", "SET lock_configuration = false",
    ):  # fmt: skip
        with read.connect(data) as opened, pytest.raises(duckdb.Error):
            opened.execute(query).fetchall()


def test_the_checksum_covers_the_whole_file() -> None:
    content = run_files.encode(bad_record())
    assert seal.is_intact(content)
    changed = 0
    for bit in range(0, 8 * len(content), 101):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        changed += not seal.is_intact(bytes(damaged))
    assert changed >= len(range(0, 8 * len(content), 101)) - 2  # in the name of the checksum itself
    assert json.dumps(settings.data().name)
    assert connection.database(settings.data())
