"""Years: what the first schema wrote is read by every later one, whose columns are worked out, and packed as theirs."""

import json
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from softh.errors import InputError
from softh.store import read, schema, write
from tests import first_schema
from tests.first_schema import PACKED, RUNS

ROOT = Path(__file__).parents[1]
LATER = '''
from softh import access
access.set_identity_provider(access.Person)
import sys
from pathlib import Path
from softh.store import schema

def later(table, column, kind, last):
    """The last column of a table gets a comma, and one more follows it."""
    head, found, tail = schema.SQL.partition(f"CREATE TABLE {table} (")
    assert found
    body, end, rest = tail.partition("\\n);")
    lines = [line for line in body.splitlines() if line.strip()]
    at = max(i for i, line in enumerate(lines) if line.strip().startswith(last))
    lines.insert(at, f"{column} {kind},")
    schema.SQL = head + found + "\\n".join(lines) + end + rest

schema.SQL = schema.SQL.replace("schema_version VALUES (3)", "schema_version VALUES (5)")
later("models", "maker", "VARCHAR NOT NULL", "former")
later("checkpoints", "billions", "DOUBLE", "PRIMARY KEY")
later("estimates", "tokens_a_second", "DOUBLE", "estimator")
later("measures", "bits", "DOUBLE", "folds")
later("benchmarks", "shots", "INTEGER", "source")
later("benchmarks", "shown", "VARCHAR", "source")
schema.ADDED += (
    schema.Added(4, "models", "maker", "split_part(old.source, '/', 1)"),
    schema.Added(4, "estimates", "tokens_a_second", "old.positions / old.seconds"),
    schema.Added(4, "measures", "bits", "old.value * 2"),
    schema.Added(4, "benchmarks", "shots", "5"),
    schema.Added(5, "checkpoints", "billions", "NULL::DOUBLE"),
    schema.Added(5, "benchmarks", "shown", "old.task || ', ' || old.shots || ' shots'"),
)
from tests import first_schema
from tests.store_rows import record
from softh.store import read, write
data = Path(sys.argv[1])

def ask():
    models, measures = read.models(data), read.measures(data, "00cc")
    return {
        "makers": models.select("model", "maker").rows(),
        "speeds": read.estimates(data).select("estimate_id", "tokens_a_second", "step").rows(),
        "bits": bool((measures["bits"] == 2 * measures["value"]).drop_nulls().all()) and measures["bits"].len(),
        "billions": read.query(data, "FROM checkpoints")["billions"].to_list(),
        "shots": read.benchmarks(data).select("model", "shots", "shown").rows(),
        "plane": read.trajectory(data)["input"].to_list(),
        "problems": read.warnings(data),
    }

def newer():
    row = record("00dd", revision="step256", step=256)
    row["model"]["maker"] = row["model"]["source"].split("/")[0]
    row["checkpoint"]["billions"] = None
    row["estimate"]["tokens_a_second"] = 1000 / 1.5
    for measure in row["measures"]:
        measure["bits"] = None if measure["value"] is None else 2 * measure["value"]
    write.save(row, data)
    write.save_scores([{**first_schema.score("tiny", 0.6), "task": "more", "shots": 0, "shown": "none"}], data)
'''


def later(data: Path, code: str) -> list[str]:
    """Lines that a program of schema 5 prints; schemas 4 and 5 add a column to every table, at the end or before it."""
    run = subprocess.run(
        [sys.executable, "-c", LATER + code, str(data)], text=True, capture_output=True, timeout=60, check=False,
        cwd=ROOT,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return run.stdout.splitlines()


@pytest.fixture
def first(tmp_path: Path) -> Path:
    return first_schema.unpack(tmp_path / "data")


def test_every_added_column_is_in_the_tables_and_numbered_up_to_the_newest_schema() -> None:
    numbers = [added.version for added in schema.ADDED]
    assert numbers == sorted(numbers)
    assert max([1, *numbers]) == schema.version()
    assert all(added.column in schema.table(added.table).types for added in schema.ADDED)


def test_a_store_of_the_first_schema_opens_with_every_number(first: Path) -> None:
    written = {row["estimate"]["estimate_id"]: row for row in [*PACKED, *RUNS]}
    assert sorted(read.estimates(first)["estimate_id"]) == sorted(written)
    for estimate_id, row in written.items():
        found = read.record(first, estimate_id)
        for part in ("model", "checkpoint", "estimate"):
            assert row[part].items() <= found[part].items()
        numbers = {key(measure): measure["value"] for measure in found["measures"]}
        assert numbers == {key(measure): measure["value"] for measure in row["measures"]}
    assert dict(read.benchmarks(first).select("model", "score").rows()) == {"other": 0.3, "tiny": 0.4}
    assert read.warnings(first) == []


def key(measure: dict[str, object]) -> tuple[object, ...]:
    return tuple(measure[name] for name in ("layer", "quantity", "variable", "ngram", "correction"))


def test_a_pack_of_a_store_of_the_first_schema_is_of_the_newest(first: Path) -> None:
    before = read.trajectory(first).drop("own")
    assert write.pack(first).folded == len(RUNS)
    with duckdb.connect(str(first / schema.DATABASE), read_only=True) as connection:
        assert connection.execute("FROM schema_version").fetchall() == [(schema.version(),)]
    assert read.trajectory(first).drop("own").equals(before)


def test_later_schemas_fill_in_their_columns_in_old_databases_runs_and_scores(first: Path) -> None:
    files = {path: path.read_bytes() for path in first.rglob("*") if path.is_file()}
    [found] = later(first, "import json; print(json.dumps(ask()))")
    answers = json.loads(found)
    assert answers["makers"] == [["other", "example"], ["tiny", "example"]]
    assert answers["speeds"] == [[name, pytest.approx(1000 / 1.5), step] for name, step in
                                 (("00bb", 64), ("00aa", 64), ("00cc", 128))]  # fmt: skip
    assert answers["bits"] == len(RUNS[1]["measures"])
    assert answers["billions"] == [None] * 3
    assert sorted(answers["shots"]) == [["other", 5, "cloze, 5 shots"], ["tiny", 5, "cloze, 5 shots"]]
    assert answers["plane"] == read.trajectory(first)["input"].to_list()
    assert answers["problems"] == []
    assert {path: path.read_bytes() for path in first.rglob("*") if path.is_file()} == files


def test_old_and_new_runs_stand_together_and_are_packed_as_new(first: Path) -> None:
    lines = later(
        first,
        "newer(); before = ask(); write.pack(data); assert ask() == before, (ask(), before)\n"
        "print(len(before['speeds']), sorted(before['shots']), before['problems'])",
    )
    assert lines == [
        "4 [('other', 5, 'cloze, 5 shots'), ('tiny', 0, 'none'), ('tiny', 5, 'cloze, 5 shots')] []",
    ]
    with pytest.raises(InputError, match="The table is from schema 5, this softh reads up to 3: upgrade"):
        read.estimates(first)
    with duckdb.connect(str(first / schema.DATABASE), read_only=True) as connection:
        assert connection.execute("SELECT DISTINCT maker FROM models").fetchall() == [("example",)]


def test_a_later_run_in_the_folder_is_named_and_the_others_are_shown(first: Path) -> None:
    before = read.estimates(first)
    later(first, "newer()")
    assert read.estimates(first).equals(before)
    assert read.warnings(first)[0].startswith("00dd.parquet is left out")
