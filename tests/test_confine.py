"""A confined process has no token, no network, and no more memory and time than it was given."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from softh.uploads import sandbox
from softh.uploads.sandbox import ProcessLimits

PROBE = """
import json, os, socket, sys
found = {"token": sorted(name for name in os.environ if "TOKEN" in name or "SECRET" in name), "group": os.getpgrp()}
try:
    socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=2)
    found["python"] = "connected"
except OSError as error:
    found["python"] = type(error).__name__
import ctypes, struct
libc = ctypes.CDLL(None, use_errno=True)
number = libc.socket(2, 1, 0)
address = struct.pack("<H", 2) + struct.pack(">H", int(sys.argv[1])) + bytes([127, 0, 0, 1]) + bytes(8)
found["native"] = libc.connect(number, address, 16)
one, other = socket.socketpair()
one.send(b"x")
found["pair"] = other.recv(1).decode()
print(json.dumps(found))
"""


@pytest.fixture
def probe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module that tries what it may not do."""
    (tmp_path / "probe_of_confinement.py").write_text(PROBE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return "probe_of_confinement"


def run(module: str, *arguments: str, limits: ProcessLimits | None = None) -> subprocess.CompletedProcess[str]:
    child = sandbox.start(module, arguments, limits or ProcessLimits(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    said, complained = child.communicate(timeout=60)
    return subprocess.CompletedProcess([], child.returncode, said, complained)


def test_a_confined_process_has_neither_token_nor_network(probe: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN"):
        monkeypatch.setenv(name, "secret")
    with socket.create_server(("127.0.0.1", 0)) as server:
        found = json.loads(run(probe, str(server.getsockname()[1])).stdout)
    assert found["python"] == "PermissionError"
    assert found["pair"] == "x"
    assert found["group"] != os.getpgrp()
    # The name of the file where a token would be is not a token: it leads nowhere.
    assert found["token"] == ["HF_HUB_DISABLE_IMPLICIT_TOKEN", "HF_TOKEN_PATH"]
    assert sandbox.environment()["HF_TOKEN_PATH"] == os.devnull


def test_where_the_kernel_allows_it_native_code_has_no_network_either(probe: str) -> None:
    import socket

    code = "from softh.uploads import sandbox; print(sandbox.close_network())"
    state = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    with socket.create_server(("127.0.0.1", 0)) as server:
        found = json.loads(run(probe, str(server.getsockname()[1])).stdout)
    assert state in {"namespace", "hook"}
    assert (found["native"] != 0) == (state == "namespace")


@pytest.mark.parametrize(
    ("code", "limits", "ends"),
    [
        ("print(len(bytearray(400_000_000)))", ProcessLimits(memory=200_000_000), "MemoryError"),
        ("while True: pass", ProcessLimits(seconds=1), ""),
        ("open('large', 'wb').write(bytes(2_000_000))", ProcessLimits(file=1_000_000), "File too large"),
    ],
)
def test_what_is_too_much_ends_the_process(
    code: str, limits: ProcessLimits, ends: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "greedy_in_confinement.py").write_text(f"import os; os.chdir({str(tmp_path)!r})\n{code}\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    ended = run("greedy_in_confinement", limits=limits)
    assert ended.returncode != 0
    assert ended.stdout == ""
    assert ends in ended.stderr
    if (tmp_path / "large").exists():
        assert (tmp_path / "large").stat().st_size <= 1_000_000


def test_a_process_can_enter_by_itself_after_it_used_the_network() -> None:
    code = (
        "import socket; from softh.uploads import sandbox\n"
        "server = socket.create_server(('127.0.0.1', 0))\n"
        "socket.create_connection(server.getsockname()).close()\n"
        "sandbox.enter(sandbox.ProcessLimits(memory=10**9, seconds=60))\n"
        "try: socket.create_connection(server.getsockname())\n"
        "except PermissionError as error: print(error)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "A sandboxed process has no network.\n"
