"""A server on loopback that answers like the Hugging Face hub, so that its real client is what the tests run."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha1
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qs, unquote, urlsplit

import huggingface_hub.constants
import pytest

Files = dict[str, bytes]


@dataclass
class Repo:
    """Revisions of one repository, each a set of files, and how it greets strangers."""

    revisions: dict[str, Files]
    gated: bool = False
    private: bool = False
    tags: dict[str, str] = field(default_factory=dict)
    """Name of a tag → the revision it is put on."""

    def find(self, revision: str) -> tuple[str, Files] | None:
        """Commit sha and files of a branch or of a sha."""
        revision = self.tags.get(revision, revision)
        for files in self.revisions.values():
            if revision == commit(files):
                return revision, files
        files = self.revisions.get(revision)
        return None if files is None else (commit(files), files)


@dataclass
class Hub:
    """What is served: repositories by path (``models/owner/name``), and every request so far."""

    url: str
    repos: dict[str, Repo] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    status: int | None = None
    """Answer everything with this, as a hub in trouble does."""
    cut: int | None = None
    """Break the connection after so many bytes of a longer file, as often as `cuts` says."""
    cuts: int = 0
    ranges: list[str] = field(default_factory=list)
    """Every range that was asked for, with its file."""
    sent: int = 0
    """Bytes of files that left."""

    def downloads(self) -> set[str]:
        """Names of the files that were fetched whole or in part."""
        return {line.split("/resolve/")[1].split("/", 1)[1] for line in self.requests if line.startswith("GET /")
                and "/resolve/" in line}  # fmt: skip


def commit(files: Files) -> str:
    """A commit sha that depends on the content alone."""
    return sha1(repr(sorted(files.items())).encode()).hexdigest()


def files_of(folder: Path) -> Files:
    """Every file of a folder, as a repository holds it."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@contextmanager
def serve() -> Iterator[Hub]:
    """A hub on a free port of loopback; gone when the block ends."""

    class Handler(_Handler):
        pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        hub = Handler.hub = Hub(f"http://127.0.0.1:{server.server_port}")
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield hub
        server.shutdown()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Stay silent."""

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        self.answer()

    def do_POST(self) -> None:
        self.answer()

    def answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append(f"{self.command} {path}")
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.hub.status:
            self.send(b"", status=self.hub.status)
        elif "/resolve/" in path:
            self.resolve(*path.split("/resolve/"))
        else:
            self.api(path, body)

    def api(self, path: str, body: bytes) -> None:
        if path == "/api/models":
            words = parse_qs(urlsplit(self.path).query)["search"][0]
            found = [key.removeprefix("models/") for key in self.hub.repos if words in key.lower()]
            self.json([{"id": name} for name in found])
            return
        _, _, kind, owner, name, *rest = [*path.split("/"), "", ""][: max(5, path.count("/") + 1)]
        repo = self.hub.repos.get(f"{kind}/{owner}/{name}")
        if repo is None or repo.private:
            self.fail(401 if repo else 404, "RepoNotFound")
            return
        if rest[:1] == ["refs"]:
            branches = [{"name": name, "ref": f"refs/heads/{name}", "targetCommit": commit(files)}
                        for name, files in repo.revisions.items()]  # fmt: skip
            tags = [{"name": name, "ref": f"refs/tags/{name}", "targetCommit": commit(repo.revisions[on])}
                    for name, on in repo.tags.items()]  # fmt: skip
            self.json({"branches": branches, "tags": tags, "converts": []})
            return
        action, revision, *inner = [*rest, "revision", "main"][:2] if len(rest) < 2 else rest
        found = repo.find(revision)
        if found is None:
            self.fail(404, "RevisionNotFound")
            return
        sha, files = found
        if action == "tree":
            self.json(_entries(files, "/".join(inner)))
        elif action == "paths-info":
            wanted = json.loads(body)["paths"] if body.startswith(b"{") else []
            self.json([entry for entry in _entries(files, "") if entry["path"] in wanted])
        else:
            siblings = [{"rfilename": name} for name in files]
            self.json({"id": f"{owner}/{name}", "sha": sha, "siblings": siblings, "private": False, "gated": False,
                       "disabled": False, "tags": [], "downloads": 0, "likes": 0})  # fmt: skip

    def resolve(self, repo_path: str, rest: str) -> None:
        revision, name = rest.split("/", 1)
        key = repo_path.strip("/")
        repo = self.hub.repos.get(key if key.startswith("datasets/") else f"models/{key}")
        found = repo.find(revision) if repo else None
        if repo is None or found is None or name not in found[1]:
            self.fail(404, "EntryNotFound")
        elif repo.gated:
            self.fail(403, "GatedRepo")
        else:
            if self.command == "GET" and self.headers.get("Range"):
                self.hub.ranges.append(f"{name} {self.headers['Range']}")
            self.file(found[1][name], found[0])

    def file(self, content: bytes, sha: str) -> None:
        headers = {"ETag": f'"{sha1(content).hexdigest()}"', "X-Repo-Commit": sha, "Accept-Ranges": "bytes"}
        wanted = self.headers.get("Range", "").removeprefix("bytes=")
        if wanted:
            first, _, last = wanted.partition("-")
            start, stop = int(first), min(int(last or len(content)), len(content) - 1) + 1
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(content)}"
            self.send(content[start:stop], status=206, headers=headers)
        else:
            self.send(content, headers=headers)

    def json(self, value: object) -> None:
        self.send(json.dumps(value).encode(), headers={"Content-Type": "application/json"})

    def fail(self, status: int, code: str) -> None:
        self.send(b"{}", status=status, headers={"X-Error-Code": code, "X-Error-Message": code})

    def send(self, body: bytes, *, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        if self.hub.cut is not None and self.hub.cuts and len(body) > self.hub.cut:
            self.hub.cuts -= 1
            body = body[: self.hub.cut]
            self.close_connection = True
        self.hub.sent += len(body)
        self.wfile.write(body)


def _entries(files: Files, folder: str) -> list[dict[str, object]]:
    """Files below a folder, and the folders between, as the tree of the hub lists them."""
    inside = [name for name in files if not folder or name.startswith(f"{folder}/")]
    between = {str(parent) for name in inside for parent in Path(name).parents} - {".", folder}
    return [
        *({"type": "directory", "path": name, "oid": "0" * 40, "size": 0} for name in sorted(between)),
        *({"type": "file", "path": name, "size": len(files[name]), "oid": sha1(files[name]).hexdigest()}
          for name in inside),
    ]  # fmt: skip


@contextmanager
def reached(cache: Path, patch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """The same as the hub of this process, with a cache of its own."""
    with serve() as server:
        constants = huggingface_hub.constants
        patch.setattr(constants, "ENDPOINT", server.url)
        template = server.url + "/{repo_id}/resolve/{revision}/{filename}"
        patch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        patch.setattr(constants, "HF_HUB_CACHE", str(cache))
        yield server
