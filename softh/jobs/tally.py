"""How many jobs there are, for those who watch a server: the open by state, and all that ever ended."""

from pathlib import Path

from softh.jobs import records


def waiting_and_running(folder: Path) -> dict[str, int]:
    """How many jobs are open, by state; all zero before the first."""
    found: dict[str, int] = {}
    if (folder / records.FILE).exists():
        with records.connect(folder) as connection:
            found = dict(connection.execute("SELECT state, count(*) FROM jobs GROUP BY state").fetchall())
    return {state: found.get(state, 0) for state in records.OPEN}


def ended(folder: Path) -> dict[str, tuple[int, float]]:
    """How many jobs ever ended and the seconds they ran in all, by state; those that were dismissed count."""
    found: list[tuple[str, int, float]] = []
    if (folder / records.FILE).exists():
        with records.connect(folder) as connection:
            found = connection.execute("SELECT state, jobs, seconds FROM ended_jobs").fetchall()
    return dict.fromkeys(records.ENDED, (0, 0.0)) | {state: (jobs, seconds) for state, jobs, seconds in found}
