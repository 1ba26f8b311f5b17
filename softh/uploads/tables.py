"""Scores and preference pairs of people nobody knows, read in the sandbox: rows come back, or one sentence.

``python -m softh.uploads.tables scores NAME FILE`` and ``… pairs FILE LIMIT`` are the sandboxed side.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from softh.errors import InputError
from softh.uploads import sandbox

_LIMITS = sandbox.ProcessLimits(memory=3 << 29, seconds=60, file=1 << 20)
_WAIT = 180.0
"""Seconds, since a busy machine gives a process less than all of a processor."""


@dataclass(frozen=True)
class Scores:
    """Rows of the table `benchmarks`, and a sentence on each kind of row that was left out."""

    rows: list[dict[str, Any]]
    notes: list[str]


@dataclass(frozen=True)
class PairsSummary:
    """What a file of preference pairs holds."""

    name: str
    pairs: int
    prompts: int
    """Pairs with a prompt."""
    sources: list[str]
    excluded: dict[str, int]
    """Reason → rows that were excluded."""
    note: str


def read_scores(name: str, content: bytes) -> Scores:
    """Scores of a file; see :func:`softh.scores.load.read_scores`. Errors: InputError, whatever the file holds."""
    with tempfile.NamedTemporaryFile(suffix=".scores") as file:
        file.write(content)
        file.flush()
        return Scores(**_ask("scores", [name, file.name], name))


def describe_pairs(path: Path, limit: int) -> PairsSummary:
    """What a sample of a file holds; see :func:`softh.preference.pairs.load`. Errors: InputError, whatever it holds."""
    return PairsSummary(**_ask("pairs", [str(path), str(limit)], path.name))


def _ask(task: str, arguments: Sequence[str], name: str) -> Mapping[str, Any]:
    """The answer of a sandboxed process to one task."""
    clean = [argument.encode(errors="replace").decode().replace("\0", "") for argument in arguments]
    child = sandbox.start(
        "softh.uploads.tables", [task, *clean], _LIMITS,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        output, _ = child.communicate(timeout=_WAIT)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        output, _ = child.communicate()
    if child.returncode == 2 and output:
        raise InputError(json.loads(output))
    if child.returncode != 0 or not output:
        raise InputError(
            f"{name[-80:]} cannot be read within {(_LIMITS.memory or 0) >> 20:,} MiB of memory and {_LIMITS.seconds} "
            "seconds of a processor, which an upload may take; expected a smaller table: split it."
        )
    return json.loads(output)


def _scores(name: str, path: str) -> dict[str, Any]:
    from softh.scores import load
    from softh.store import score_files

    imported = load.read_scores(name, Path(path).read_bytes())
    if len(imported.rows) > score_files.MOST_ROWS:
        raise InputError(
            f"{name} has {len(imported.rows):,} scores; expected at most {score_files.MOST_ROWS:,}: split it."
        )
    if not imported.rows:
        raise InputError(f"{name} has estimates of softh alone; expected scores: give the file of a benchmark.")
    score_files.encode(imported.rows)  # what could not be stored is refused here
    return {"rows": imported.rows, "notes": imported.notes}


def _pairs(path: str, limit: str) -> dict[str, Any]:
    from softh.preference import pairs

    found = pairs.load(path, int(limit), 0)
    return {
        "name": found.name,
        "pairs": len(found.pairs),
        "prompts": sum(bool(pair.prompt) for pair in found.pairs),
        "sources": sorted({pair.source[:200] for pair in found.pairs if pair.source})[:50],
        "excluded": dict(found.excluded),
        "note": found.note,
    }


def main() -> int:
    """Do one task: prints its answer as JSON; 2 and a sentence when the file is at fault."""
    _, task, *arguments = sys.argv
    os.environ["POLARS_MAX_THREADS"] = "2"  # each reserves memory
    try:
        answer, status = json.dumps({"scores": _scores, "pairs": _pairs}[task](*arguments)), 0
    except InputError as error:
        answer, status = json.dumps(str(error)[:2000]), 2
    except BaseException as error:  # noqa: BLE001 - a panic of polars is one, and a parser may raise anything
        reason = (str(error) or type(error).__name__).splitlines()[0][:200]
        answer = json.dumps(f"The file cannot be read ({reason}); expected a table as the page describes: check it.")
        status = 2
    sys.stdout.write(answer)
    return status


if __name__ == "__main__":
    sys.exit(main())
