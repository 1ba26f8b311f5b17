"""The process of a job with kinds that need no model: what a test wants to see happen, in a fraction of a second."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from softh.errors import InputError
from softh.jobs import runner, tasks


def steps(spec: str, options: tasks.Options, progress: tasks.Progress) -> str:
    """Count to `steps`, `pause` seconds apart, and leave a mark beside the tables."""
    asked = json.loads(spec)
    for done in range(asked["steps"] + 1):
        progress("counting", done, asked["steps"])
        time.sleep(asked.get("pause", 0.01))
    with (Path(options["data"]) / "marks").open("a") as marks:
        marks.write(f"{asked['name']}\n")
    return f"counted-{asked['name']}"


def misbehave(spec: str, options: tasks.Options, progress: tasks.Progress) -> str:
    """Go wrong in the way that is asked for."""
    how = json.loads(spec)["how"]
    if how == "sentence":
        raise InputError("The model was odd; expected an even one: choose another.")
    if how == "memory":
        raise MemoryError
    if how == "bug":
        raise KeyError("nobody foresaw this")
    if how == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "chatty":
        sys.stdout.write("a library says hello\n" * 1000)
    if how == "family":
        subprocess.Popen(["sleep", "600"])
    if how in {"deaf", "family"}:
        if how == "deaf":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        progress("waiting", 0, 1)
        time.sleep(600)
    return "fine"


if __name__ == "__main__":
    tasks.KINDS |= {"steps": tasks.JobKind(steps), "misbehave": tasks.JobKind(misbehave)}
    runner.main()
