"""Take the steps of the Dockerfile one by one where no container engine runs, and start the app from what they make.

    sudo .venv/bin/python .ci/image.py

The base image is this machine's /usr, the packages are those of .venv, checked against the pins; the rest is as in a
container: a root of its own (chroot) that is read-only, a network and processes of its own, the user of the image, and
only the volumes and /tmp to write to. All of it is gone when this program ends.
"""

import fcntl
import fnmatch
import json
import os
import re
import shlex
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from packaging.requirements import Requirement

HERE = Path(__file__).resolve().parents[1]
PACKAGES = (HERE / ".venv").resolve()
BASE = ("usr", "bin", "lib", "lib64", "sbin")
SETTINGS = ("ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives", "ssl", "login.defs", "mime.types", "localtime")
INSIDE = "SOFTH_IMAGE_INSIDE"


@dataclass
class Image:
    """What the steps have made so far."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)
    folder: str = "/"
    user: str = "root"
    volumes: list[str] = field(default_factory=list)
    words: dict[str, list[str]] = field(default_factory=dict)
    """ENTRYPOINT, CMD and HEALTHCHECK."""

    def take(self, instruction: str, rest: str) -> None:
        """One step."""
        if instruction == "FROM":
            wanted = rest.partition(":")[2].partition("-")[0]
            here = f"{sys.version_info.major}.{sys.version_info.minor}"
            assert here == wanted, f"the image has Python {wanted}, this is {here}"
        elif instruction == "ENV":
            self.environment |= dict(pair.split("=", 1) for pair in shlex.split(rest))
        elif instruction == "WORKDIR":
            self.folder = rest
            (self.root / rest.lstrip("/")).mkdir(parents=True)
        elif instruction == "COPY":
            *sources, target = [word for word in rest.split() if not word.startswith("--")]
            for source in sources:
                copy(source, self.root / self.folder.lstrip("/") / target)
        elif instruction == "RUN":
            pinned(rest) if rest.startswith("pip install") else self.run(["sh", "-euc", rest], check=True)
        elif instruction == "USER":
            self.user = rest
        elif instruction == "VOLUME":
            self.volumes = json.loads(rest)
        elif instruction in {"ENTRYPOINT", "CMD"}:
            self.words[instruction] = json.loads(rest)
        elif instruction == "HEALTHCHECK":
            self.words[instruction] = json.loads(rest.partition("CMD ")[2])
        else:
            assert instruction == "EXPOSE", f"{instruction} is a step that this program does not know"

    def command(self, words: list[str]) -> list[str]:
        """A command line that runs in the image, as its user."""
        number = dict(line.split(":")[:3:2] for line in (self.root / "etc/passwd").read_text().splitlines())[self.user]
        who = ["--reuid", number, "--regid", number, "--clear-groups"]
        bare = ["--inh-caps=-all", "--bounding-set=-all", "--no-new-privs"] if number != "0" else []
        into = ["sh", "-c", 'cd "$0" && exec "$@"', self.folder]
        return ["chroot", str(self.root), "setpriv", *who, *bare, *into, *words]

    def run(self, words: list[str], *, check: bool = False) -> subprocess.CompletedProcess[str]:
        """Run a command in the image to its end."""
        return subprocess.run(
            self.command(words), env=self.variables(), check=check, text=True, capture_output=not check
        )

    def variables(self) -> dict[str, str]:
        """The environment that a container has, and nothing of this process's."""
        path = f"{PACKAGES / 'bin'}:/usr/sbin:/usr/bin:/sbin:/bin"
        return {"PATH": path, "HOME": f"/home/{self.user}", **self.environment}


def steps(dockerfile: str) -> Iterator[tuple[str, str]]:
    """Instructions and what follows each, comments and line ends taken out."""
    lines = [line for line in dockerfile.splitlines() if not line.lstrip().startswith("#")]
    for line in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines():
        if line.strip():
            instruction, _, rest = line.partition(" ")
            yield instruction, rest.strip()


def copy(source: str, target: Path) -> None:
    """COPY, which leaves out what .dockerignore names."""
    ignored = [line for line in (HERE / ".dockerignore").read_text().splitlines() if line]

    def left_out(folder: str, names: list[str]) -> set[str]:
        places = {name: (Path(folder) / name).relative_to(HERE).as_posix() for name in names}
        return {
            name
            for name, place in places.items()
            if any(
                fnmatch.fnmatch(f"/{place}", f"*{one[2:]}" if one.startswith("**") else f"/{one}") for one in ignored
            )
        }

    if (HERE / source).is_dir():
        shutil.copytree(HERE / source, target, ignore=left_out, symlinks=True, dirs_exist_ok=True)
    else:
        shutil.copy(HERE / source, target)


def pinned(step: str) -> None:
    """The packages that a step would install are in .venv, at the versions of the pins."""
    name = step.rsplit(maxsplit=1)[-1]
    for line in (HERE / name).read_text().splitlines():
        if line and not line.startswith("#"):
            wanted = Requirement(line)
            assert wanted.specifier.contains(version(wanted.name)), f"{wanted} is not in .venv"


def base(root: Path) -> None:
    """The base image: programs and libraries of this machine, a bare /etc with root alone."""
    for name in BASE:
        if Path("/", name).is_symlink():
            (root / name).symlink_to(Path("/", name).readlink())
        elif Path("/", name).exists():
            mount(Path("/", name), root / name)
    mount("tmpfs", root / "tmp", "-t", "tmpfs", "-o", "mode=1777")
    for place in {PACKAGES, Path(sys.base_prefix).resolve()}:
        mount(place, root / str(place).lstrip("/"))
    for name in ("etc", "proc", "dev", "tmp", "home", "root"):
        (root / name).mkdir(exist_ok=True)
    for name in SETTINGS:
        if (found := Path("/etc", name)).exists():
            (shutil.copytree if found.is_dir() else shutil.copy)(found, root / "etc" / name)
    for name, line in (("passwd", "root:x:0:0::/root:/bin/sh"), ("group", "root:x:0:"), ("shadow", "root:*:::::::"),
                       ("hosts", "127.0.0.1 localhost")):  # fmt: skip
        (root / "etc" / name).write_text(f"{line}\n")
    mount("proc", root / "proc", "-t", "proc")
    for name in ("null", "zero", "random", "urandom"):
        (root / "dev" / name).touch()
        mount(Path("/dev", name), root / "dev" / name)


def mount(source: Path | str, target: Path, *options: str) -> None:
    """Mount, read-only unless told otherwise."""
    if not target.exists():
        target.mkdir(parents=True)
    subprocess.run(["mount", *(options or ("--bind", "-r")), str(source), str(target)], check=True)


def seal(image: Image, scratch: Path) -> None:
    """Make the root read-only and mount the volumes, which begin with what the image has in their place."""
    for number, volume in enumerate(image.volumes):
        inside = image.root / volume.lstrip("/")
        shutil.copytree(inside, kept := scratch / f"volume-{number}")
        for path in (kept, *kept.rglob("*")):
            old = inside / path.relative_to(kept)
            os.chown(path, old.stat().st_uid, old.stat().st_gid)
        mount(kept, inside, "--bind")
    subprocess.run(["mount", "-o", "remount,bind,ro", str(image.root)], check=True)


def loopback() -> None:
    """Bring up the only network there is."""
    with socket.socket() as any_socket:
        flags = struct.pack("16sh14s", b"lo", 0x1, b"")  # IFF_UP
        fcntl.ioctl(any_socket, 0x8914, flags)  # SIOCSIFFLAGS


def show(image: Image) -> None:
    """Start the app as the image says, and see that it is well, answers with a page, and can write nowhere else."""
    command = image.command([*image.words["ENTRYPOINT"], *image.words["CMD"]])
    server = subprocess.Popen(command, env=image.variables(), stdout=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 60
        while image.run(image.words["HEALTHCHECK"]).returncode:
            assert time.monotonic() < until, "the app is not well after a minute"
            assert server.poll() is None, "the app has ended"
            time.sleep(0.3)
        owner = (image.root / "proc" / str(server.pid)).stat().st_uid
        assert owner == 1000, f"the app runs as user {owner}"
        sys.path.insert(0, str(HERE))
        from tests.protocol import session  # needs the path that was just set

        with session("http://localhost:8501", {}) as one:
            assert "plotly_chart" in one.run("layers"), "the page has no figure"
        for place, allowed in (("/app/x", False), ("/home/softh/x", False), ("/app/data/x", True), ("/tmp/x", True)):
            assert (image.run(["touch", place]).returncode == 0) == allowed, place
        for words in (["softh", "doctor"], ["softh", "worker", "--idle", "1"]):
            ran = image.run([*image.words["ENTRYPOINT"], *words])
            assert ran.returncode == 0, ran.stdout + ran.stderr
    finally:
        server.terminate()
        server.wait()


def main() -> None:
    """Everything in namespaces of its own; see the top."""
    if INSIDE not in os.environ:
        with tempfile.TemporaryDirectory(prefix="softh-image-") as scratch:
            command = ["unshare", "--mount", "--pid", "--net", "--fork", "--kill-child", sys.executable, __file__]
            sys.exit(subprocess.run(command, env={**os.environ, INSIDE: scratch}, check=False).returncode)
    scratch, began = Path(os.environ[INSIDE]), time.monotonic()
    (root := scratch / "root").mkdir()
    scratch.chmod(0o755)
    mount(root, root, "--bind")
    loopback()
    base(root)
    image = Image(root)
    for number, (instruction, rest) in enumerate(steps((HERE / "Dockerfile").read_text(encoding="utf-8")), 1):
        sys.stdout.write(f"{number:2} {instruction} {rest}\n")
        sys.stdout.flush()
        image.take(instruction, rest)
    seal(image, scratch)
    show(image)
    sys.stdout.write(
        f"The app of the image is well and shows a page, user 1000, root read-only; {time.monotonic() - began:.0f} s\n"
    )


if __name__ == "__main__":
    main()
