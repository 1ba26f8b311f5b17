"""Runs on a share: seen by everybody, fetched once, and never a reason to lose an estimate or to wait for a page."""

import http.server
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import fsspec
import pytest
from typer.testing import CliRunner

from softh.cli.main import app
from softh.errors import InputError
from softh.store import backup, connection, read, schema, write
from softh.store import share as share_module
from softh.uploads import sandbox
from tests.store_rows import record

Desk = Callable[[str], Path]
"""Makes this process the machine of that name, with a cache and a data folder of its own; gives the latter."""


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """A bucket of an S3 server on this machine."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    settings = {
        "AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
    }  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        fsspec.filesystem("s3").mkdir("lab")
        yield "s3://lab"
    server.stop()


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setattr(share_module, "POLL_INTERVAL", 0.0)

    def sit(name: str) -> Path:
        monkeypatch.setenv("SOFTH_CACHE", str(tmp_path / name / "cache"))
        return tmp_path / name / "data"

    return sit


@pytest.fixture(params=["file", "memory", "s3"])
def share(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an empty share, which is that of this process."""
    (tmp_path / "lab").mkdir()
    base = request.getfixturevalue("bucket") if request.param == "s3" else f"{request.param}://{tmp_path}/lab"
    url = f"{base}/{tmp_path.name}"
    if request.param == "file":
        (tmp_path / "lab" / tmp_path.name).mkdir()
    monkeypatch.setenv("SOFTH_RUNS", url)
    return url


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A shared folder."""
    (tmp_path / "lab").mkdir()
    monkeypatch.setenv("SOFTH_RUNS", f"file://{tmp_path}/lab")
    return tmp_path / "lab"


def ids(data: Path) -> list[str]:
    return read.estimates(data)["estimate_id"].to_list()


def test_what_one_machine_stores_the_others_show(share: str, desk: Desk) -> None:
    ours = desk("ours")
    write.save(record("00aa"), ours)
    assert list((ours / schema.RUNS).iterdir()) == []
    theirs = desk("theirs")
    assert ids(theirs) == ["00aa"]
    write.save(record("00bb", model="other"), theirs)
    assert ids(desk("ours")) == ["00bb", "00aa"]
    assert read.warnings(ours) == []
    assert not theirs.joinpath(schema.DATABASE).exists()


def test_a_run_is_fetched_once_and_again_when_it_was_replaced(share: str, desk: Desk) -> None:
    write.save(record("00aa", step=1), desk("ours"))
    write.save(record("00bb", model="other", step=1), desk("ours"))
    theirs = desk("theirs")

    def inodes() -> dict[str, int]:
        read.refresh()
        return {path.stem: path.stat().st_ino for path in read.list_runs(theirs)}

    first = inodes()
    assert inodes() == first
    write.save(record("00aa", step=22), desk("ours"))
    desk("theirs")
    assert {name for name, inode in inodes().items() if first[name] != inode} == {"00aa"}
    assert read.estimates(theirs)["step"].to_list() == [1, 22]


def test_a_deleted_estimate_leaves_every_machine(share: str, desk: Desk) -> None:
    ours = desk("ours")
    for name in ("00aa", "00bb"):
        write.save(record(name, revision=name), ours)
    theirs = desk("theirs")
    assert len(ids(theirs)) == 2
    write.remove(theirs, "00aa")
    assert ids(theirs) == ["00bb"]
    desk("ours")
    read.refresh()
    assert ids(ours) == ["00bb"]


def test_a_damaged_run_on_the_share_is_named_and_left_out(share: str, desk: Desk) -> None:
    ours = desk("ours")
    write.save(record("00aa"), ours)
    fs, root = fsspec.core.url_to_fs(share)
    fs.pipe_file(f"{root}/00bb.parquet", fs.cat_file(f"{root}/00aa.parquet")[:-100])
    theirs = desk("theirs")
    assert ids(theirs) == ["00aa"]
    assert [problem.split()[0] for problem in read.warnings(theirs)] == ["00bb.parquet"]


def test_a_pack_folds_what_is_shared_and_leaves_it_to_the_others(share: str, desk: Desk) -> None:
    write.save(record("00aa"), desk("ours"))
    theirs = desk("theirs")
    assert write.pack(theirs).folded == 1
    assert ids(theirs) == ["00aa"]
    assert ids(desk("third")) == ["00aa"]


def test_one_database_is_handed_on_as_a_file_or_at_a_url(
    share: str, desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write.save(record("00aa"), desk("ours"))
    theirs = desk("theirs")
    for target in (str(tmp_path / "file.duckdb"), f"{share}/handed.duckdb"):
        said = CliRunner().invoke(app, ["pack", "--to", target, "--data", str(theirs)])
        assert said.stdout.startswith(f"All tables are in {target} (")
    assert not theirs.joinpath(schema.DATABASE).exists()
    assert ids(theirs) == ["00aa"]  # the database beside the runs is no run
    fs, root = fsspec.core.url_to_fs(share)
    monkeypatch.delenv("SOFTH_RUNS")
    for place, content in enumerate([(tmp_path / "file.duckdb").read_bytes(), fs.cat_file(f"{root}/handed.duckdb")]):
        got = tmp_path / f"got{place}"
        got.mkdir()
        (got / schema.DATABASE).write_bytes(content)
        assert ids(got) == ["00aa"]


def test_while_the_share_is_away_nothing_is_lost_or_hidden_and_a_pack_makes_up_for_it(folder: Path, desk: Desk) -> None:
    data = desk("ours")
    write.save(record("00aa"), data)
    assert ids(data) == ["00aa"]
    folder.rename(folder.with_name("away"))
    write.save(record("00bb", model="other"), data)
    assert ids(data) == ["00bb", "00aa"]
    away, waits = read.warnings(data)
    assert away.startswith(f"file://{folder} cannot be used (No such file or directory): ")
    assert "1 run files in" in waits
    with pytest.raises(InputError, match="cannot be used"):
        write.pack(data)
    folder.with_name("away").rename(folder)
    assert write.pack(data).folded == 2
    assert sorted(path.name for path in folder.iterdir()) == ["00aa.parquet", "00bb.parquet"]
    assert read.warnings(data) == []


def test_an_empty_mount_point_hides_nothing(folder: Path, desk: Desk) -> None:
    data = desk("ours")
    write.save(record("00aa"), data)
    read.refresh()
    (folder / "00aa.parquet").unlink()
    with pytest.raises(InputError, match="no run is there any more; is it mounted"):
        read.refresh()
    assert ids(data) == ["00aa"]


def test_runs_of_before_are_shared_by_a_pack_alone(folder: Path, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    data = desk("ours")
    with monkeypatch.context() as before:
        before.delenv("SOFTH_RUNS")
        write.save(record("00aa"), data)
    write.save(record("00bb"), data)
    assert [path.name for path in folder.iterdir()] == ["00bb.parquet"]
    assert len(ids(data)) == 2
    write.pack(data)
    assert len(list(folder.iterdir())) == 2


def test_a_backup_holds_what_is_shared(folder: Path, desk: Desk, tmp_path: Path) -> None:
    write.save(record("00aa"), desk("ours"))
    assert backup.write(desk("theirs"), tmp_path / "b.tar.gz") == 1
    shutil.rmtree(folder)
    folder.mkdir()
    third = desk("third")
    assert backup.read(tmp_path / "b.tar.gz", third) == (1, 0, [])
    write.pack(third)
    assert [path.name for path in folder.iterdir()] == ["00aa.parquet"]


class Server(http.server.ThreadingHTTPServer):
    """A share that can only be read, and that notes what it is asked for and may take its time."""

    def __init__(self, folder: Path) -> None:
        self.asked: list[str] = []
        self.answering = threading.Event()
        self.answering.set()
        server = self

        class Handler(http.server.SimpleHTTPRequestHandler):
            def do_GET(self) -> None:
                server.answering.wait(20)
                server.asked.append(self.path)
                super().do_GET()

            def log_message(self, *args: object) -> None:
                """Tests are quiet."""

        super().__init__(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
        self.url = f"http://127.0.0.1:{self.server_port}/runs"
        threading.Thread(target=self.serve_forever, daemon=True).start()


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A share over HTTP with two runs."""
    for name in ("00aa", "00bb"):
        write.save(record(name, revision=name), tmp_path / "lab")
    with Server(tmp_path / "lab") as made:
        monkeypatch.setenv("SOFTH_RUNS", made.url)
        yield made
        made.answering.set()
        made.shutdown()


def test_a_share_is_listed_now_and_then_and_a_run_downloaded_once(
    server: Server, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(share_module, "POLL_INTERVAL", 5.0)
    data = desk("ours")
    for _ in range(20):
        assert len(ids(data)) == 2
    read.refresh()
    assert sorted(server.asked) == ["/runs", "/runs", "/runs/", "/runs/", "/runs/00aa.parquet", "/runs/00bb.parquet"]


def test_a_share_that_is_gone_leaves_what_was_fetched_and_a_sentence(server: Server, desk: Desk) -> None:
    data = desk("ours")
    assert len(ids(data)) == 2
    server.shutdown()
    server.server_close()
    with pytest.raises(InputError, match=r"http://127.* cannot be used \(.*\): what was fetched before is shown"):
        read.refresh()
    assert len(ids(data)) == 2
    [sentence] = read.warnings(data)
    assert len(sentence.splitlines()) == 1


def test_a_share_that_hangs_keeps_nobody_waiting(server: Server, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    data = desk("ours")
    assert len(ids(data)) == 2
    monkeypatch.setattr(share_module, "QUERY_WAIT", 0.3)
    server.answering.clear()
    for _ in range(5):
        assert len(ids(data)) == 2
    assert "is slow to answer" in read.warnings(data)[0]


def test_what_cannot_be_written_there_waits_here(server: Server, desk: Desk) -> None:
    data = desk("ours")
    path = write.save(record("00cc", revision="new"), data)
    assert path.parent == data / schema.RUNS
    assert len(ids(data)) == 3
    assert any("1 run files in" in problem for problem in read.warnings(data))


@pytest.mark.parametrize(
    ("url", "reason"), [("nothing://lab", "Protocol not known"), ("file:///no/such/folder", "No such file")]
)
def test_a_share_that_is_none_is_a_sentence(url: str, reason: str, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOFTH_RUNS", url)
    data = desk("ours")
    assert ids(data) == []
    assert reason in read.warnings(data)[0]


def test_a_password_is_neither_shown_nor_given_to_a_confined_process(monkeypatch: pytest.MonkeyPatch) -> None:
    assert share_module.without_password("ftp://me:secret@lab/runs") == "ftp://lab/runs"
    monkeypatch.setenv("SOFTH_RUNS", "ftp://me:secret@lab/runs")
    assert "secret" not in repr(sandbox.environment())
    assert "secret" in repr(dict(os.environ))


def test_a_worker_hands_over_what_a_confined_job_stored(
    folder: Path, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = desk("ours")
    with monkeypatch.context() as confined:
        confined.delenv("SOFTH_RUNS")
        write.save(record("00aa"), data)
    write.put_on_share(data, "00aa")
    assert [path.name for path in folder.iterdir()] == ["00aa.parquet"]
    assert connection.pending_uploads(data) == []
