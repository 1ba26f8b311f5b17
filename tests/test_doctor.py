"""The doctor names what is wrong and what to do, and nothing when all is well."""

from pathlib import Path

from store_rows import record

from softh import doctor
from softh.store import write


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
