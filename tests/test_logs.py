"""With SOFTH_LOG=json every line on standard error is an object, whoever logs it, and no secret is in it."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import httpx

from softh import access, jobs
from tests.harness import free_port

ROOT = Path(__file__).parents[1]


def lines(file: Path) -> list[dict]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def environment(tmp_path: Path) -> dict[str, str]:
    return os.environ | {"SOFTH_LOG": "json", "SOFTH_DATA": str(tmp_path), "CUDA_VISIBLE_DEVICES": ""}


def test_the_worker_logs_what_it_takes_up_and_how_it_ends(tmp_path: Path) -> None:
    job, _ = jobs.submit("magic", {}, title="of no kind", data=tmp_path)
    with (tmp_path / "log").open("wb") as log:
        subprocess.run(
            [sys.executable, "-m", "softh", "worker", "--idle", "1", "--data", str(tmp_path)],
            cwd=ROOT, env=environment(tmp_path), stderr=log, timeout=60, check=True,
        )  # fmt: skip
    found = lines(tmp_path / "log")
    assert {"at", "level", "logger", "said"} <= set(found[0])
    [ended] = [line for line in found if line.get("state")]
    assert (ended["job"], ended["state"], ended["level"]) == (job.id, "failed", "info")


def test_the_web_process_logs_json_too_and_answers_health_and_metrics(tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "streamlit", "run", "server.py", "--server.port", str(port)]
    jobs.submit("steps", {}, title="waits", data=tmp_path)
    with (tmp_path / "log").open("wb") as log, subprocess.Popen(
        command, cwd=ROOT, env=environment(tmp_path), stdout=subprocess.DEVNULL, stderr=log
    ) as server:  # fmt: skip
        try:
            assert ask(port, "/health") == (200, '{"status":"ok"}')
            _, found = ask(port, "/metrics")
            (tmp_path / "jobs" / "jobs.sqlite").write_bytes(b"no database at all, whatever its name says" * 100)
            status, rest = ask(port, "/metrics")
            (tmp_path / "softh.duckdb").write_bytes(b"no database")
            assert ask(port, "/health") == (503, '{"status":"the tables cannot be read"}')
        finally:
            server.terminate()
    assert status == 200
    assert "softh_jobs_open" not in rest
    for line in ('softh_jobs_open{state="queued"} 1.0', "softh_estimates 0.0", "process_resident_memory_bytes "):
        assert line in found
    assert all("said" in line for line in lines(tmp_path / "log"))
    assert (tmp_path / access.AUDIT).exists()


def ask(port: int, path: str) -> tuple[int, str]:
    """Status and text of what the server answers, as soon as it does."""
    until = time.monotonic() + 60
    while True:
        try:
            found = httpx.get(f"http://localhost:{port}{path}", timeout=30)
        except httpx.ConnectError:
            assert time.monotonic() < until
            time.sleep(0.1)
        else:
            return found.status_code, found.text
