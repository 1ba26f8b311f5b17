"""The analyze page at work: ``python -m benchmarks.analyze``.

Prints the seconds of a refresh with 200 queued jobs (the part of the page that polls, run without a browser), and the
memory of the web process before and after ten analyses of the demo checkpoint, each uploaded in its own session: on the
shipped tables, then from an empty state. Every page is visited before the first, so that its modules are loaded.
"""

import json
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest import mock

import psutil
from playwright.sync_api import Browser

from softh import jobs
from softh.jobs import processes, records
from tests.harness import PATHS, browser, serving, settled

ROOT = Path(__file__).resolve().parent.parent
DEMO = ROOT / "data" / "demo" / "toy-olmo2-3m-seed0.tar.gz"
ANALYSES, JOBS, REFRESHES = 10, 200, 50
PANEL = "from dashboard.workspace import job_panel, my_estimates\njob_panel.panel(my_estimates.show)"
PATIENCE = 600_000.0


def resident(folder: Path) -> float:
    """MB of the web process whose tables are in a folder."""
    for process in psutil.process_iter(["cmdline"]):
        line = process.info["cmdline"] or []
        if "streamlit" in line and process.environ().get("SOFTH_DATA") == str(folder):
            return process.memory_info().rss / 1e6
    raise LookupError("no web process")


def analyse(opened: Browser, address: str, number: int) -> float:
    """Seconds from the click to the point."""
    context = opened.new_context()
    page = context.new_page()
    page.goto(f"{address}/analyze?way=Upload&documents=16&context=32&draws=2&seed={number}")
    page.locator("[data-testid=stFileUploaderDropzoneInput]").first.set_input_files(DEMO)
    page.get_by_role("button", name="Estimate", exact=True).click(timeout=PATIENCE)
    began = time.perf_counter()
    while len(jobs.listing(("done",))) < number:
        time.sleep(0.1)
    page.get_by_text("Position: I(X;Z)").first.wait_for(timeout=PATIENCE)
    seconds = time.perf_counter() - began
    context.close()
    return seconds


def memory(scratch: Path) -> dict[str, object]:
    with serving(scratch) as address, browser() as opened:
        for path in PATHS.values():
            page = opened.new_page()
            page.goto(address + path)
            settled(page)
            page.close()
        before = resident(scratch)
        seconds, sizes = [], []
        for number in range(1, ANALYSES + 1):
            seconds.append(analyse(opened, address, number))
            sizes.append(resident(scratch))
        time.sleep(5)
        return {
            "before_mb": round(before),
            "after_each_mb": [round(size) for size in sizes],
            "after_mb": round(resident(scratch)),
            "seconds": [round(one, 1) for one in seconds],
        }


def refreshes() -> dict[str, object]:
    from streamlit.testing.v1 import AppTest

    with records.connect(jobs.folder()) as connection:
        rows = [("steps", json.dumps({"name": number}), "one of many", time.time()) for number in range(JOBS)]
        connection.executemany("INSERT INTO jobs (kind, spec, title, submitted) VALUES (?, ?, ?, ?)", rows)
    with mock.patch.object(jobs, "ensure_worker"):  # the jobs are to stay queued
        return _timed(
            AppTest.from_string(
                "from dashboard.workspace import job_panel, my_estimates\njob_panel.panel(my_estimates.show)",
                default_timeout=60,
            )
        )


def _timed(panel: Any) -> dict[str, object]:
    panel.run()
    seconds = []
    for _ in range(REFRESHES):
        began = time.perf_counter()
        assert not panel.run().exception
        assert len(panel.dataframe[0].value) == JOBS
        seconds.append(time.perf_counter() - began)
    quantiles = statistics.quantiles(seconds, n=20)
    return {
        "jobs": JOBS,
        "n": REFRESHES,
        "median_s": round(statistics.median(seconds), 4),
        "p95_s": round(quantiles[-1], 4),
    }


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="softh-analyze-") as name:
        os.environ |= {"SOFTH_CACHE": f"{name}/cache", "SOFTH_WORKER_IDLE": "60", "SOFTH_DATA": f"{name}/queue"}
        print(json.dumps({"refresh": refreshes()}), flush=True)
        for state in ("shipped", "empty"):
            scratch = Path(name) / state
            scratch.mkdir()
            if state == "shipped":
                shutil.copy(ROOT / "data" / "softh.duckdb", scratch)
            os.environ["SOFTH_DATA"] = str(scratch)
            try:
                print(json.dumps({f"memory, {state}": memory(scratch)}), flush=True)
            finally:
                _end_worker(scratch)


def _end_worker(data: Path) -> None:
    for process in psutil.process_iter(["cmdline"]):
        if "worker" in (process.info["cmdline"] or []) and str(data) in process.info["cmdline"]:
            process.terminate()
            process.wait(20)
    processes.kill_orphans(data / "jobs")


if __name__ == "__main__":
    main()
