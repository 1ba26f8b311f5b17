"""The doctor names what is wrong and what to do, and nothing when all is well."""

from pathlib import Path

import pytest

from softh.cli import doctor
from softh.errors import InputError
from softh.jobs import client
from softh.store import read, schema, write
from tests import first_schema
from tests.store_rows import record


def remedies(data: Path) -> dict[str, str]:
    return {finding.what: finding.remedy for finding in doctor.examine(data) if finding.remedy}


def test_a_sound_store_needs_no_remedy(tmp_path: Path) -> None:
    write.save(record(), tmp_path)
    assert set(remedies(tmp_path)) <= {"packages", "cache"}
    assert [finding.state for finding in doctor.examine(tmp_path) if finding.what == "tables"] == [
        "1 estimates of 1 models"
    ]


def test_a_damaged_run_is_named(tmp_path: Path) -> None:
    path = write.save(record(), tmp_path)
    path.write_bytes(path.read_bytes()[:-100])
    assert "remove the file" in remedies(tmp_path)["run"]


def test_a_damaged_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "softh.duckdb").write_bytes(b"nothing")
    assert "softh restore" in remedies(tmp_path)["tables"]


def test_a_package_of_another_version_is_named(tmp_path: Path, monkeypatch: object) -> None:
    monkeypatch.setattr(doctor, "_version", lambda name: "0.0" if name == "polars" else None)
    assert "pip install" in remedies(tmp_path)["packages"]
    assert "polars 0.0 instead of" in next(f.state for f in doctor.examine(tmp_path) if f.what == "packages")


def test_an_installed_softh_names_what_it_lacks_and_its_extras(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.settings, "checkout", lambda: None)
    needs = ["polars<3,>=2", "uvloop>=0.21; sys_platform != 'win32' and extra == 'app'", "gguf>=0.17; extra == 'gguf'"]
    monkeypatch.setattr(doctor, "requires", lambda _: needs)
    monkeypatch.setattr(doctor, "_version", lambda name: None if name == "gguf" else "1")
    states = {finding.what: finding for finding in doctor.examine(tmp_path)}
    assert (states["packages"].state, states["packages"].remedy) == ("all that softh needs; extras: app", "")
    monkeypatch.setattr(doctor, "_version", lambda _: None)
    states = {finding.what: finding for finding in doctor.examine(tmp_path)}
    assert states["packages"].state == "without polars"
    assert "pip install" in states["packages"].remedy


def test_a_setting_with_a_wrong_value_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "setting" not in remedies(tmp_path)
    monkeypatch.setenv("SOFTH_CACHE_GB", "much")
    assert [f.state for f in doctor.examine(tmp_path) if f.what == "setting"] == [
        "SOFTH_CACHE_GB was 'much'; expected a number above zero: set it to 16, say."
    ]


def test_a_damaged_block_is_found_wherever_it_is(tmp_path: Path) -> None:
    write.save(record(), tmp_path)
    write.pack(tmp_path)
    database = tmp_path / "softh.duckdb"
    whole, said = database.read_bytes(), ""
    for place in range(20_000, len(whole), 2**18):  # DuckDB has a checksum for each block of 256 KiB
        database.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            read.check(tmp_path)
        except InputError as damage:
            said = str(damage)
            if "Corrupt database file" in said:
                break
    assert "Corrupt database file" in said
    assert "softh restore" in remedies(tmp_path)["tables"]


def test_older_tables_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first_schema.unpack(tmp_path / "data")
    monkeypatch.setattr(schema, "version", lambda: 2)
    [state] = [finding.state for finding in doctor.examine(tmp_path / "data") if finding.what == "tables"]
    assert state == "3 estimates of 2 models, some of schema 1, which `softh pack` brings up to 2"


def test_a_share_that_answers_one_that_is_away_and_what_it_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOFTH_CACHE", str(tmp_path / "cache"))
    write.save(record("00aa"), tmp_path / "data")
    (tmp_path / "lab").mkdir()
    monkeypatch.setenv("SOFTH_RUNS", str(tmp_path / "lab"))
    assert remedies(tmp_path / "data")["share"] == "run `python -m softh pack` when it answers."
    write.pack(tmp_path / "data")
    assert [f.state for f in doctor.examine(tmp_path / "data") if f.what == "share"] == ["answers, 1 runs"]
    (tmp_path / "lab").rename(tmp_path / "elsewhere")
    assert remedies(tmp_path / "data")["share"].startswith("check SOFTH_RUNS")


def test_damaged_decks_and_a_damaged_queue_are_named(tmp_path: Path) -> None:
    (tmp_path / "decks").mkdir()
    (tmp_path / "decks" / "talk.json").write_text("{}")
    client.submit("estimate", {"model": "some/model"}, title="some model", data=tmp_path)
    assert not {"deck", "queue"} & set(remedies(tmp_path))
    (tmp_path / "decks" / "talk.json").write_text("{")
    queue = tmp_path / "jobs" / "jobs.sqlite"
    queue.write_bytes(queue.read_bytes()[:4096] + b"\0" * 8192)
    assert "restore a backup" in remedies(tmp_path)["deck"]
    assert "move the folder away" in remedies(tmp_path)["queue"]
