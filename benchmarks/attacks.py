"""Attacks on the store, the pages, uploads, backups and the queue, each tried again: what came of it, and of variants.

`python -m benchmarks.attacks` tries all on this checkout and stores what came of them in results/attacks.json as
"now"; `python -m benchmarks.attacks before` on an older checkout, with this file copied to it, as "before";
`python -m benchmarks.attacks table > docs/attacks.md` prints both. Each runs in a process of its own, for two minutes
at most. Disks that are full or read-only are mounted, which needs root.
"""

import contextlib
import gzip
import io
import json
import lzma
import os
import re
import socket
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from softh import access, jobs
from softh.errors import InputError
from softh.jobs import records
from softh.store import backup, read, run_files, schema, write
from tests.store_rows import build_record

RESULTS = Path(__file__).with_name("results") / "attacks.json"
PATIENCE = 120
"""Seconds until an attack that does not end is ended."""
HOSTILE = "=1+1 ![x](http://evil.example/b.png)[in](http://evil.example/l) <a href='http://evil.example'>p</a> :red[r]"
Said = tuple[bool, str]
"""Whether the program withstood, and what came of it."""
Attack = Callable[[Path], Said]
ROWS: dict[str, str] = {}
"""Number of an attack → what it is."""
TESTS: dict[str, str] = {}
"""Number of an attack → the tests that hold it."""
ATTACKS: dict[str, dict[str, Attack]] = {}
"""Number of an attack → itself, under "as shown", and variants of it by name."""


def row(number: str, what: str, tests: str, attacks: dict[str, Attack]) -> None:
    """Register an attack; the first of `attacks` is the one that was shown first."""
    ROWS[number], TESTS[number], ATTACKS[number] = what, tests, attacks


def main() -> None:
    """Try all attacks, or one in this process, or print the table."""
    if sys.argv[1:2] == ["one"]:
        logging_off()
        held, said = _tried(ATTACKS[sys.argv[2]][sys.argv[3]])
        Path(sys.argv[4]).write_text(json.dumps([held, said]))
        os._exit(0)  # whatever threads still wait
    if sys.argv[1:2] == ["table"]:
        print(table())
        return
    name = sys.argv[1] if len(sys.argv) > 1 else "now"
    found = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    chosen = sys.argv[2:] or list(ROWS)
    of_name = found.setdefault(name, {})
    for number in chosen:
        of_name[number] = {title: _apart(number, title) for title in ATTACKS[number]}
        print(number, of_name[number], flush=True)
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")


def logging_off() -> None:
    """Say nothing but the result, and act as the owner of the machine."""
    import logging

    logging.disable(logging.WARNING)
    access.set_identity_provider(access.Person)


def _apart(number: str, title: str) -> dict[str, Any]:
    """What came of one attack in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "answer.json"
        command = [sys.executable, "-m", "benchmarks.attacks", "one", number, title, str(answer)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
            try:
                child.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                child.kill()
                return {"held": False, "said": f"no answer within {PATIENCE} s"}
        if not answer.exists():
            return {"held": False, "said": f"the process ended with {child.returncode}"}
        held, said = json.loads(answer.read_text())
        return {"held": held, "said": said}


def _tried(attack: Attack) -> Said:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        os.environ |= {"SOFTH_DATA": str(folder / "data"), "SOFTH_CACHE": str(folder / "cache")}
        os.environ["SOFTH_WORKER_IDLE"] = "0"
        try:
            return attack(folder)
        except BaseException as error:  # noqa: BLE001 - a panic is one
            return False, _name(error)


def table() -> str:
    """docs/attacks.md."""
    found = json.loads(RESULTS.read_text())
    before, now = found["before"], found["now"]
    lines = ["| # | attack | before | now | tests |", "|---|---|---|---|---|"]
    order = sorted(ROWS, key=lambda number: (int(re.sub(r"\D", "", number)), number))
    for number in order:
        what = ROWS[number]
        shown = next(iter(ATTACKS[number]))
        cells = [_cell(of[number][shown]) if number in of else "not tried" for of in (before, now)]
        lines.append(f"| {number} | {what} | {cells[0]} | {cells[1]} | {TESTS[number]} |")
    variants = ["| # | variant | before | now |", "|---|---|---|---|"]
    for number in order:
        for title in [*ATTACKS[number]][1:]:
            cells = [_cell(of.get(number, {}).get(title)) for of in (before, now)]
            variants.append(f"| {number} | {title} | {cells[0]} | {cells[1]} |")
    counts = [
        f"{sum(each['held'] for each in _all(of))} of {len(_all(of))} withstood {name}"
        for name, of in (("before", before), ("now", now))
    ]
    return TEXT.format(rows="\n".join(lines), variants="\n".join(variants), counts=", ".join(counts))


def _all(of: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    return [each for attacks in of.values() for each in attacks.values()]


def _cell(found: dict[str, Any] | None) -> str:
    if found is None:
        return "not tried"
    said = " ".join(found["said"].split())[:220].replace("|", "\\|")
    return ("" if found["held"] else "**fell:** ") + (re.sub(r"([<>`*_])", r"\\\1", said) or "withstood")


TEXT = """# Attacks and faults, tried again

`python -m benchmarks.attacks` tries each on a folder of its own; *before* is the same script on the version before the
store judged its files ({counts}). A row that withstood before had been mended by then, or fell in one of its variants.
The tests that are named hold the row from now on; "faults.py" is a campaign of `python -m benchmarks.faults`.
Seconds and megabytes are those of the process that asks, on two busy cores.

{rows}

## Variants

{variants}
"""


def _name(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error).splitlines()[0][:120] if str(error) else ''}"


def sentence(do: Callable[[], Any]) -> Said:
    """Whether something ends in one sentence."""
    try:
        found = do()
    except InputError as error:
        return len(str(error).splitlines()) == 1, "a sentence"
    except BaseException as error:  # noqa: BLE001 - a panic is one
        return False, _name(error)
    return False, f"taken: {str(found)[:80]}"


def bounded(do: Callable[[], Any], most_mb: int = 200, most_s: float = 20) -> Said:
    """Memory of this process and seconds that something takes, whatever it ends in."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the most so far is what there is now
    before, started = _peak(), time.perf_counter()
    try:
        do()
        ended = "taken"
    except InputError:
        ended = "a sentence"
    except BaseException as error:  # noqa: BLE001 - a panic is one
        return False, _name(error)
    grown, seconds = _peak() - before, time.perf_counter() - started
    return grown < most_mb and seconds < most_s, f"{ended}; {grown} MB more, {seconds:.1f} s"


def _peak() -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) // 1024


def data() -> Path:
    """The data folder of this process, with one sound estimate."""
    folder = Path(os.environ["SOFTH_DATA"])
    if not (folder / schema.RUNS).exists():
        write.save(build_record("Sound"), folder)
    return folder


def pages() -> list[str]:
    """Pages that end in anything but a view or a sentence."""
    from dashboard.views import registry

    down = []
    for page in registry.VIEWS:
        try:
            registry.build(page, {})
        except InputError:
            continue
        except BaseException as error:  # noqa: BLE001 - a panic is one
            down.append(f"{page} {type(error).__name__}")
    return down


def store_holds(name: str) -> Said:
    """Whether the sound estimate is shown by every page, the doctor answers, and a pack loses nothing."""
    from softh.cli import doctor

    folder, wrong = data(), pages()
    for what, do in (
        ("list", lambda: read.estimates(folder)), ("doctor", lambda: list(doctor.examine(folder))),
        ("pack", lambda: write.pack(folder)), ("list after a pack", lambda: read.estimates(folder)),
    ):  # fmt: skip
        try:
            do()
        except BaseException as error:  # noqa: BLE001 - a panic is one
            wrong.append(f"{what} {type(error).__name__}")
    if wrong:
        return False, f"down: {', '.join(wrong)}"
    named = any(name in warning for warning in read.warnings(folder))
    shown = "Sound" in read.estimates(folder)["model"].to_list()
    return shown, f"all pages, list, doctor and pack answer; {'the file is named' if named else 'it is harmless'}"


def bad_run(change: Callable[[dict[str, Any]], Any] = lambda record: None, version: int | None = None) -> Path:
    """A run beside the sound one, written unchecked as another program might."""
    made = build_record("Bad", layers=2, orders=(1, 2), draws=2)
    made["estimate"] |= {"estimate_id": "00bb", "digest": made["checkpoint"]["digest"]}
    change(made)
    made_at = version if version is not None else schema.version()
    frame = pl.DataFrame([{"schema_version": made_at, **made}], schema=run_files.types())
    path = data() / schema.RUNS / "00bb.parquet"
    table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
    try:
        from softh.store import seal

        path.write_bytes(seal.encode(table))
    except ImportError:
        pq.write_table(table, path, compression="zstd", write_page_checksum=True)
    return path


# 1: damaged files


def damaged(change: Callable[[bytearray], Any]) -> Attack:
    """A run whose bytes are changed."""

    def attack(_: Path) -> Said:
        path = bad_run()
        content = bytearray(path.read_bytes())
        change(content)
        path.write_bytes(content)
        return store_holds(path.name)

    return attack


def footer(content: bytearray) -> int:
    """Where the footer of a Parquet file begins."""
    return len(content) - 8 - int.from_bytes(content[-8:-4], "little")


def flip(place: Callable[[bytearray], int], bit: int) -> Callable[[bytearray], None]:
    """A change of one bit."""

    def changed(content: bytearray) -> None:
        content[place(content)] ^= bit

    return changed


row(
    "1", "One flipped bit in the footer of a run", "test_store_faults: damaged_file; faults.py: bits",
    {
        "as shown": damaged(flip(lambda content: footer(content) + 6, 1)),
        "the bit at which polars panics": damaged(flip(lambda content: footer(content) + 862, 128)),
        "another length of the footer": damaged(flip(lambda content: len(content) - 6, 0x7F)),
        "the end is there twice": damaged(lambda content: content.extend(content[footer(content) :])),
        "zeros in the middle": damaged(lambda content: content.__setitem__(slice(100, 4000), bytes(3900))),
    },
)  # fmt: skip


# 2, 33: hosts and headers


@contextlib.contextmanager
def server() -> Generator[int]:
    """The port of the app."""
    from tests.harness import serving

    with serving(data()) as address:
        yield int(address.rpartition(":")[2])


def ask(port: int, path: str, headers: dict[str, str]) -> str:
    """The head of an answer to a plain request."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as link:
        lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        link.sendall("\r\n".join(lines).encode())
        return link.recv(4096).decode(errors="replace")


SOCKET = {
    "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
}  # fmt: skip


def foreign(path: str, host: str, origin: str = "", *, upgrade: bool = True) -> Attack:
    """A request under another name than the server's own."""

    def attack(_: Path) -> Said:
        with server() as port:
            headers = {"Host": host.format(port=port)} | ({"Origin": origin.format(port=port)} if origin else {})
            status = ask(port, path, headers | (SOCKET if upgrade else {})).split(" ")[1]
        return status not in {"200", "101"}, f"answered {status}"

    return attack


STREAM = "/_stcore/stream"
row(
    "2", "A page of another host opens the WebSocket", "test_hosts; browser/test_hostile",
    {
        "as shown": foreign(STREAM, "evil.example:{port}", "http://evil.example:{port}"),
        "the metrics under another name": foreign("/metrics", "evil.example:{port}", upgrade=False),
        "own name, origin of another server": foreign(STREAM, "localhost:{port}", "http://evil.example"),
        "a name that ends in ours": foreign(STREAM, "evil.localhost.example:{port}", "http://evil.localhost.example"),
        "a name before an @": foreign(STREAM, "localhost@evil.example:{port}", "http://localhost@evil.example"),
    },
)  # fmt: skip


def headers_of(path: str) -> Attack:
    """An answer whose headers are looked at."""

    def attack(_: Path) -> Said:
        with server() as port:
            head = ask(port, path, {"Host": f"localhost:{port}"}).partition("\r\n\r\n")[0].lower()
        wanted = ("x-frame-options", "frame-ancestors", "nosniff")
        missing = [name for name in wanted if name not in head]
        return not missing, f"without {', '.join(missing)}" if missing else "all three headers"

    return attack


# 3: databases


def database(statements: str) -> Attack:
    """A backup with a packed database that somebody changed, restored and asked."""

    def attack(folder: Path) -> Said:
        made = folder / "made"
        write.save(build_record("Sound"), made)
        write.pack(made)
        copy = folder / "copy"
        copy.mkdir()
        (copy / schema.DATABASE).write_bytes((made / schema.DATABASE).read_bytes())  # the other is open
        with duckdb.connect(str(copy / schema.DATABASE)) as connection:
            connection.execute(statements)
        backup.write(copy, folder / "b.tar.gz")
        place = folder / "other"
        try:
            backup.read(folder / "b.tar.gz", place)
        except InputError:
            return True, "the backup is refused in a sentence"
        try:
            families = str(read.estimates(place).rows()) + str(read.models(place).rows())
        except InputError:
            return True, "the database is refused in a sentence"
        leaked = Path("/etc/hostname").read_text().strip() in families
        return not leaked, "the name of the machine is shown" if leaked else "no file is shown"

    return attack


LEAK = "(SELECT content FROM read_text('/etc/hostname'))::VARCHAR"
row(
    "3", "A backup with a database of views that read files", "test_backup: database_that_is_no_pack",
    {
        "as shown": database(
            f"ALTER TABLE models RENAME TO m0; CREATE VIEW models AS SELECT * REPLACE ({LEAK} AS family) FROM m0"
        ),
        "a macro under the name of a function": database(f"CREATE MACRO coalesce(a, b) AS {LEAK}"),
        "a view of estimates": database(
            f"ALTER TABLE estimates RENAME TO e0; CREATE VIEW estimates AS SELECT * REPLACE ({LEAK} AS corpus) FROM e0"
        ),
        "a table of another name": database("CREATE TABLE other AS SELECT 1"),
        "a view in another schema": database(f"CREATE SCHEMA packed; CREATE VIEW packed.models AS SELECT {LEAK} AS x"),
    },
)  # fmt: skip


# 4: the cache


def cached(change: Callable[[list[Path]], Any]) -> Attack:
    """An estimate made again after values of the cache were changed on disk."""

    def attack(folder: Path) -> Said:
        import softh
        from tests.tiny import save_model, save_text

        model, text = save_model(folder / "model"), save_text(folder / "text.jsonl", 12)
        options: dict[str, Any] = {"documents": 12, "context": 48, "draws": 2, "orders": (1,), "device": "cpu"}

        def values() -> list[float | None]:
            estimate = softh.estimate(str(model), corpus=f"file:{text}", data=folder / "data", **options)
            return [measure.value for measure in estimate.measures]

        right = values()
        files = sorted((folder / "cache").rglob("*.val"))
        if not files:
            return _cached_inline(folder, change, values, right)
        change(files)
        again = values()
        differ = sum(one != other for one, other in zip(right, again, strict=True))
        return differ == 0, f"{differ} of {len(right)} numbers differ"

    return attack


def _cached_inline(
    folder: Path, change: Callable[[list[Path]], Any], values: Callable[[], list[Any]], right: list[Any]
) -> Said:
    """The same where values are small enough to lie in the table of the cache."""
    import sqlite3

    place = next((folder / "cache").rglob("cache.db"))
    files = []
    with contextlib.closing(sqlite3.connect(place)) as connection:
        found = connection.execute("SELECT rowid, value FROM Cache WHERE typeof(value) = 'blob'").fetchall()
        for number, value in found:
            files.append(folder / f"value-{number}")
            files[-1].write_bytes(value)
        change(files)
        for (number, _), path in zip(found, files, strict=True):
            connection.execute("UPDATE Cache SET value = ? WHERE rowid = ?", (path.read_bytes(), number))
        connection.commit()
    again = values()
    differ = sum(one != other for one, other in zip(right, again, strict=True))
    return differ == 0, f"{differ} of {len(right)} numbers differ"


def each(change: Callable[[bytearray], Any]) -> Callable[[list[Path]], None]:
    """A change of the bytes of every file."""

    def changed(files: list[Path]) -> None:
        for path in files:
            content = bytearray(path.read_bytes())
            change(content)
            path.write_bytes(content)

    return changed


def _swapped(files: list[Path]) -> None:
    contents = [path.read_bytes() for path in files]
    for path, content in zip(files, contents[1:] + contents[:1], strict=True):
        path.write_bytes(content)


def _top_bits(content: bytearray) -> None:
    for place in range(len(content) - 1, len(content) - 81, -4):
        content[place] ^= 2


def _zeros(content: bytearray) -> None:
    content[200:] = bytes(len(content) - 200)


row(
    "4", "Flipped bits in remembered hidden states", "test_hidden_states: damaged, changed_bit; faults.py: bits",
    {
        "as shown": cached(each(_top_bits)),
        "values that lie under one another's names": cached(_swapped),
        "half of each value": cached(each(lambda content: content.__delitem__(slice(len(content) // 2, None)))),
        "zeros in their place": cached(each(_zeros)),
    },
)  # fmt: skip


# 5, 6, 18, 19: text of others


def hostile(prefix: str = "m", **given: Any) -> dict[str, Any]:
    """A record in which names and descriptions are hostile."""
    made = build_record(f"{prefix}{HOSTILE}", f"r{HOSTILE}", corpus=f"c{HOSTILE}", weights=HOSTILE, **given)
    made["model"] |= {"family": f"{HOSTILE}{prefix}", "architecture": HOSTILE, "stage": HOSTILE}
    return made


def fill(*, job: str = "", runs: bool = True) -> None:
    """Store hostile estimates, or jobs of a hostile title."""
    folder = data()
    if runs:
        for step in (0, 10, 100):
            write.save(hostile(step=step, tokens=1_000 * step), folder)
        for name in "abc":
            write.save(hostile(name), folder)
    if job:
        with records.connect(jobs.folder()) as connection:
            for kind in ("preference", "estimate"):
                columns = "kind, spec, title, submitted, started, ended, state, message, result"
                connection.execute(
                    f"INSERT INTO jobs ({columns}) VALUES (?, '{{}}', ?, 0, 0, 1, 'failed', ?, ?)",
                    (kind, job, job, job),
                )


def page_text(script: str, *, job: str = "", runs: bool = True) -> Attack:
    """A page whose Markdown is looked at for links and images."""

    def attack(_: Path) -> Said:
        from markdown_it import MarkdownIt
        from streamlit.testing.v1 import AppTest

        fill(job=job, runs=runs)
        app = AppTest.from_file(str(Path.cwd() / "app.py"), default_timeout=100).run()
        if script != "pages/trajectory.py":
            app = app.switch_page(script).run()
        found = 0
        pending: list[Any] = [app._tree]
        while pending:
            node = pending.pop()
            pending += list(getattr(node, "children", {}).values())
            proto = getattr(node, "proto", None)
            texts = (getattr(proto, name, None) for name in ("body", "label", "help", "text", "caption"))
            for text in texts:
                if isinstance(text, str) and "evil" in text:
                    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(text)
                    parts = [child for token in tokens for child in token.children or ()]
                    # The page's own links, from terms to their definitions, are not the name's.
                    parts = [part for part in parts if not str(part.attrs.get("href", "")).startswith("/method#term-")]
                    found += sum(part.type in {"link_open", "image", "html_inline"} for part in parts)
        return not found, f"{found} live links, images and tags"

    return attack


def queued(name: str) -> Attack:
    """A job of a model whose name is a text for others."""

    def attack(_: Path) -> Said:
        from softh.spec import PreferenceSpec

        data()
        held, said = sentence(lambda: jobs.submit_spec(PreferenceSpec(model=name, pairs="owner/pairs")))
        return held, "refused before it is queued" if held else said

    return attack


LINK = "![x](http://evil.example/beacon.png)[Session expired, sign in](http://evil.example/login)@x"
row(
    "5", "A starter's job title is Markdown on everybody's pages", "test_queue_faults; app/test_hostile",
    {
        "as shown": page_text("pages/preference.py", job=LINK, runs=False),
        "the hub id itself": queued(LINK),
        "a result, on Analyze": page_text("pages/analyze.py", job=HOSTILE, runs=False),
        "an id that turns the direction of text": queued("owner/na\u202eme"),
        "an id of a link alone": queued("[a](b)@c"),
    },
)  # fmt: skip
row(
    "6", "Names in run files are Markdown or Plotly HTML", "app/test_hostile; browser/test_hostile; test_escape",
    {
        "as shown": page_text("pages/layers.py"),
        "on the trajectory": page_text("pages/trajectory.py"),
        "on the frontier": page_text("pages/frontier.py"),
        "on Analyze": page_text("pages/analyze.py"),
        "links in figures": lambda _: _figures(),
    },
)  # fmt: skip


def _figures() -> Said:
    from dashboard.views import registry

    fill()
    found = 0
    for slug in ("trajectory", "frontier", "layers"):
        view, _ = registry.build(slug, {})
        for figure in view.figures.values():
            drawn = type(figure)(figure).update_layout(meta=None)
            found += len(re.findall(r"<(?:a|img|script)[ >]", str(drawn.to_json()).replace("\\u003c", "<")))
    return not found, f"{found} tags of links in figures"


def csv_cells(text: str) -> Attack:
    """The CSV of a figure whose family is a text that a spreadsheet takes for a formula."""

    def attack(_: Path) -> Said:
        from dashboard.export import tables
        from dashboard.export.contents import FigureExport, Size
        from dashboard.figures.template import LIGHT
        from dashboard.views import registry

        made = build_record("Other")
        made["model"]["family"] = text
        write.save(made, data())
        view = registry.build("frontier", {})[0]
        key, figure = next(iter(view.figures.items()))
        rows = tables.csv(FigureExport(figure, Size(800, 600), LIGHT, view.title, view.behind.get(key, view.data)))
        formulas = text in pl.read_csv(io.BytesIO(rows), infer_schema=False).to_series(0).to_list()
        formulas |= any(text in column.to_list() for column in pl.read_csv(io.BytesIO(rows), infer_schema=False))
        return not formulas, "the cell is a formula" if formulas else "the cell is text"

    return attack


row(
    "18", "Formulas in cells of CSV", "test_escape: no_cell; app/test_hostile",
    {
        "as shown": csv_cells('=HYPERLINK("http://evil.example/model","x")'),
        "an @": csv_cells("@SUM(1)"),
        "a sign": csv_cells("+1+1"),
        "a tab before it": csv_cells("\t=1+1"),
    },
)  # fmt: skip


def workbook(text: str) -> Attack:
    """The workbooks in a presentation of a family that is a formula."""

    def attack(_: Path) -> Said:
        from dashboard.decks import render, store
        from dashboard.export.contents import DeckExport
        from dashboard.export.powerpoint import deck
        from dashboard.figures.template import LIGHT
        from dashboard.views import registry

        made = build_record("Other")
        made["model"]["family"] = text
        write.save(made, data())
        views = {page: registry.build(page, {})[0] for page in ("trajectory", "frontier", "layers")}
        slides = [store.Slide(page, {}, key, text[:90], text) for page, view in views.items() for key in view.figures]
        store.save("deck", slides)
        content = deck(DeckExport(text, render.render(store.load("deck"), dark=False), LIGHT))
        found = books = 0
        with zipfile.ZipFile(io.BytesIO(content)) as file:
            for name in file.namelist():
                if name.endswith(".xlsx"):
                    books += 1
                    with zipfile.ZipFile(io.BytesIO(file.read(name))) as book:
                        found += book.read("xl/worksheets/sheet1.xml").count(b"<f>")
        return books > 0 and not found, f"{found} formulas in {books} workbooks"

    return attack


row(
    "19", "Formulas in the workbook of a chart", "app/test_hostile: workbook",
    {
        "as shown": workbook("=1+1"),
        "a link": workbook('=HYPERLINK("http://evil.example/model","x")'),
        "an array": workbook("{=1+1}"),
        "a sign": workbook("-1+1"),
    },
)  # fmt: skip


# 7 to 10: uploads


def parquet(columns: dict[str, list[Any]]) -> bytes:
    """A small file of a large table."""
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer, compression="zstd")
    return buffer.getvalue()


def scores_of(name: str, content: Callable[[], bytes]) -> Attack:
    """Scores as the page takes them in."""

    def attack(_: Path) -> Said:
        data()
        made = content()
        try:
            from softh.uploads.tables import read_scores
        except ImportError:
            from softh.scores.load import read_scores
        held, said = bounded(lambda: read_scores(name, made))
        return held, f"{len(made):,} bytes: {said}"

    return attack


row(
    "7", "A file of scores that unpacks to much, in the web process", "test_uploaded_tables",
    {
        "as shown": scores_of("s.parquet", lambda: parquet({"model": ["m"] * 2_000_000, "task": ["t"] * 2_000_000,
                                                          "score": [1.0] * 2_000_000})),
        "long texts": scores_of("s.parquet", lambda: parquet({"model": ["m" * 100_000] * 20_000, "task": ["t"] * 20_000,
                                                            "score": [1.0] * 20_000})),
        "a table of 20,000 columns": scores_of(
            "s.csv", lambda: b"model" + b"".join(b",c%d" % n for n in range(20_000)) + b"\nm" + b",1" * 20_000),
        "nested lists": scores_of("s.json", lambda: b'[{"model":' + b"[" * 200_000 + b"]" * 200_000 + b"}]"),
        "results of a million tasks": scores_of("r.json", lambda: json.dumps(
            {"results": {f"t{n}": {"acc,none": 0.5} for n in range(1_000_000)}, "config": {"model_args": "a=b"}}
        ).encode()),
    },
)  # fmt: skip


def run_bomb(table: Callable[[], pa.Table]) -> Attack:
    """A run file that unpacks to much."""

    def attack(_: Path) -> Said:
        path = data() / schema.RUNS / "0123456789abcdef.parquet"
        pq.write_table(table(), path, compression="zstd")
        return bounded(lambda: (read.estimates(data()), read.warnings(data())))

    return attack


row(
    "8", "A run file that unpacks to much", "test_store_faults: unpacks_to_more",
    {
        "as shown": run_bomb(lambda: pa.table({"model": pa.array(["m" * 1_000]).take(pa.array([0] * 2_000_000))})),
        "lists of texts": run_bomb(lambda: pa.table({"model": [["m" * 30_000] * 20_000]})),
        "20,000 columns": run_bomb(lambda: pa.table({f"c{n}": [1] for n in range(20_000)})),
        "a hundred million zeros": run_bomb(lambda: pa.table({"step": pa.nulls(100_000_000, pa.int32()).fill_null(0)})),
    },
)  # fmt: skip


def pairs_of(name: str, content: Callable[[], bytes]) -> Attack:
    """Pairs as the page takes them in."""

    def attack(folder: Path) -> Said:
        (folder / name).write_bytes(content())
        try:
            from softh.uploads.tables import describe_pairs
        except ImportError:
            from softh.preference import pairs

            def describe_pairs(path: Path, limit: int) -> Any:
                return pairs.load(str(path), limit, 0)

        held, said = bounded(lambda: describe_pairs(folder / name, 10))
        return held, f"{(folder / name).stat().st_size:,} bytes: {said}"

    return attack


row(
    "9", "Pairs of blank lines, in the web process", "test_uploaded_tables: pairs",
    {
        "as shown": pairs_of("p.jsonl.xz", lambda: lzma.compress(b"\n" * (100 << 20), preset=0)),
        "a line without an end": pairs_of("p.jsonl.gz", lambda: gzip.compress(b'{"chosen":"' + b"a" * (400 << 20), 1)),
        "nested rows": pairs_of("p.jsonl", lambda: b'{"chosen":' + b"[" * 100_000 + b"]" * 100_000 + b"}\n"),
        "one letter a row": pairs_of("p.json", lambda: b"[" + b"1," * 20_000_000 + b"1]"),
    },
)  # fmt: skip


def unknown(names: Callable[[], set[str]]) -> Attack:
    """Names of models that are not stored, and what is nearest to each that is asked about."""

    def attack(_: Path) -> Said:
        import inspect

        from softh.scores import load

        known = {f"org{n}/model-{n}": f"org{n}/model-{n}" for n in range(120)}
        most = [12] if len(inspect.signature(load.unmatched_models).parameters) > 2 else []
        return bounded(lambda: load.unmatched_models(names(), known, *most), most_s=10)

    return attack


row(
    "10", "Many unknown names in a table of scores", "test_uploaded_tables: nearest_names",
    {
        "as shown": unknown(lambda: {f"org{n}/some-model-name-{n}" for n in range(3_000)}),
        "one name of a million letters": unknown(lambda: {"x" * 1_000_000, "y" * 1_000_000}),
        "200,000 names": unknown(lambda: {f"n{n}" for n in range(200_000)}),
        "names that differ by a letter": unknown(lambda: {f"org1/model-1{'x' * n}" for n in range(2_000)}),
    },
)  # fmt: skip


def opened_pairs(name: Callable[[Path], str], model: str = "owner/name") -> Attack:
    """A job with uploaded pairs: whether it is one without tokens and network."""

    def attack(_: Path) -> Said:
        from softh.jobs import tasks
        from softh.spec import PreferenceSpec
        from softh.uploads import texts

        data()
        path = texts.save("p.jsonl", b'{"chosen": "a", "rejected": "b"}\n').resolve()
        held = tasks.untrusted(json.loads(PreferenceSpec(model=model, pairs=name(path)).canonical()))
        return held, "confined" if held else "with tokens and network"

    return attack


def _linked(path: Path) -> str:
    link = Path(os.environ["SOFTH_DATA"]).parent / "link.jsonl"
    link.symlink_to(path)
    return str(link)


row(
    "11", "Uploaded pairs are opened with tokens and network", "test_uploaded_tables: confined, uploaded_pairs",
    {
        "as shown": opened_pairs(str),
        "named with file:": opened_pairs(lambda path: f"file:{path}"),
        "by another way to the folder": opened_pairs(lambda path: f"{path.parent}/../{path.parent.name}/{path.name}"),
        "by a link": opened_pairs(_linked),
    },
)  # fmt: skip


# 13 to 17: odd values, newer schemas, entries that are no files


def odd(change: Callable[[dict[str, Any]], Any]) -> Attack:
    """A run with values that no estimate has."""
    return lambda _: store_holds(bad_run(change).name)


def of_all(**values: Any) -> Callable[[dict[str, Any]], None]:
    """Set values in all measures."""

    def changed(record: dict[str, Any]) -> None:
        for measure in record["measures"]:
            measure.update(values)

    return changed


row(
    "13", "A run whose spec is not JSON", "test_store_faults: odd_values",
    {
        "as shown": odd(lambda record: record["estimate"].update(spec="{")),
        "a list": odd(lambda record: record["estimate"].update(spec="[]")),
        "nested deeply": odd(lambda record: record["estimate"].update(spec='{"a":' + "[" * 9_000 + "]" * 9_000 + "}")),
        "versions that are a list": odd(lambda record: record["estimate"].update(versions="[1]")),
        "orders that are none": odd(lambda record: record["estimate"].update(spec='{"orders":5}')),
    },
)  # fmt: skip
row(
    "14", "One run of a newer schema among others", "test_store_read: newer_run; test_store_faults: unknown_schema",
    {
        "as shown": lambda _: store_holds(bad_run(version=schema.version() + 1).name),
        "schema 0": lambda _: store_holds(bad_run(version=0).name),
        "schema −1": lambda _: store_holds(bad_run(version=-1).name),
        "the largest there is": lambda _: store_holds(bad_run(version=2**31 - 1).name),
    },
)  # fmt: skip
row(
    "15", "Errors that are not finite, unknown words, no measures", "test_store_faults: odd_values, any_column",
    {
        "as shown": odd(of_all(se_draws=float("inf"))),
        "no parameters": odd(lambda record: record["model"].update(parameters=0)),
        "an unknown order": odd(of_all(ngram=99)),
        "an unknown correction": odd(of_all(correction="other")),
        "no measure": odd(lambda record: record.update(measures=[])),
        "values whose squares are not finite": odd(of_all(value=1e200)),
        "draws that are no numbers": odd(of_all(draws=[0.1, float("nan")])),
        "a layer below zero": odd(of_all(layer=-1)),
    },
)  # fmt: skip


def entry(make: Callable[[Path], Any], *, shared: bool) -> Attack:
    """An entry of a folder of runs that is no file."""

    def attack(folder: Path) -> Said:
        place = data() / schema.RUNS
        if shared:
            place = folder / "share"
            place.mkdir()
            os.environ["SOFTH_RUNS"] = str(place)
            write.save(build_record("Shared"), data())
        make(place / "00cc.parquet")
        answered: list[Any] = []
        thread = threading.Thread(
            target=lambda: answered.append(sentence(lambda: (read.refresh(), read.estimates(data())))), daemon=True
        )
        began = time.monotonic()
        thread.start()
        thread.join(20)
        if not answered:
            return False, "no answer within 20 s"
        models = set(read.estimates(data())["model"])
        seconds = time.monotonic() - began
        said = "the others are shown" if answered[0][1].startswith("taken") else answered[0][1]
        held = ("Shared" if shared else "Sound") in models and said == "the others are shown" and seconds < 5
        return held, f"{said}, {seconds:.1f} s"

    return attack


def _sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


row(
    "16", "A folder or a pipe among the runs of a share", "test_store_faults: entry_of_a_share, no_file",
    {
        "as shown": entry(lambda path: path.mkdir(), shared=True),
        "a pipe": entry(os.mkfifo, shared=True),
        "a file of a terabyte": entry(_sparse, shared=True),
        "a link to a file of the machine": entry(lambda path: path.symlink_to("/etc/passwd"), shared=True),
        "a pipe in data/runs": entry(os.mkfifo, shared=False),
        "a link to a device": entry(lambda path: path.symlink_to("/dev/zero"), shared=False),
    },
)  # fmt: skip


def model_folder(name: bytes) -> Attack:
    """A folder of models whose name is not text."""

    def attack(folder: Path) -> Said:
        from streamlit.testing.v1 import AppTest

        from tests.tiny import save_model

        data()
        models = folder / "models"
        models.mkdir()
        os.rename(os.fsencode(save_model(models / "plain")), os.fsencode(models) + b"/" + name)  # noqa: PTH104
        os.environ["SOFTH_MODELS"] = str(models)
        app = AppTest.from_file(str(Path.cwd() / "app.py"), default_timeout=100).run()
        app = app.switch_page("pages/analyze.py").run()
        from softh.checkpoints import server_folders

        names = list(server_folders.list_models())
        down = [error.message for error in app.exception]
        try:
            "".join(names).encode()  # what the page sends to the browser
        except UnicodeEncodeError as error:
            down.append(_name(error))
        return not down, down[0][:80] if down else f"listed as {names[0].rpartition('/')[2]}"

    return attack


row(
    "17", "A folder of models whose name is not UTF-8", "test_paths: not_utf_8, any_folder",
    {
        "as shown": model_folder(b"bad\xff"),
        "half a letter": model_folder(b"half\xe2\x82"),
        "a lone surrogate": model_folder(b"lone\xed\xa0\x80"),
        "a line break": model_folder(b"two\nlines"),
    },
)  # fmt: skip


# 20 to 25: backups


def archive(path: Path, files: dict[str, bytes]) -> Path:
    """A backup of any files."""
    with tarfile.open(path, "w:gz", compresslevel=1) as file:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            file.addfile(member, io.BytesIO(content))
    return path


def manifest(content: bytes) -> Attack:
    """A backup with a manifest that is none."""

    def attack(folder: Path) -> Said:
        path = archive(folder / "b.tar.gz", {"decks/a.json": b"{}", backup.MANIFEST: content})
        return sentence(lambda: backup.read(path, folder / "new"))

    return attack


row(
    "20", "A backup with a malformed manifest", "test_backup: manifest, changed_byte",
    {
        "as shown": manifest(b"{}"),
        "no JSON": manifest(b"{"),
        "nested": manifest(b"[" * 100_000),
        "no text": manifest(b"\xff"),
        "a digest that is a number": manifest(b'{"schema_version": 1, "files": {"decks/a.json": 1}}'),
        "a version of 5,000 digits": manifest(b'{"schema_version": 1' + b"0" * 5_000 + b', "files": {}}'),
    },
)  # fmt: skip


@contextlib.contextmanager
def disk(free: int | None) -> Generator[Path]:
    """A disk of 4 MB with the tables and so many bytes free; None: one that cannot be written."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", folder], check=True)
        try:
            place = Path(folder)
            os.environ["SOFTH_DATA"] = str(place / "data")
            write.save(build_record("Packed", layers=1, orders=(1,)), place / "data")
            write.pack(place / "data")
            write.save(build_record("Sound", layers=1, orders=(1,)), place / "data")
            if free is None:
                subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
            else:
                state = os.statvfs(place)
                (place / "filling").write_bytes(bytes(state.f_bavail * state.f_frsize - free))
            yield place
        finally:
            subprocess.run(["umount", "-l", folder], check=True)


def on_disk(do: Callable[[Path, Path], Any], free: int | None) -> Attack:
    """Something that writes, on a full or read-only disk: a sentence, and nothing left."""

    def attack(folder: Path) -> Said:
        write.save(build_record("Elsewhere"), folder / "elsewhere")
        backup.write(folder / "elsewhere", folder / "b.tar.gz")
        with disk(free) as place:
            before = {path for path in place.rglob("*") if path.is_file()}
            held, said = sentence(lambda: do(place, folder / "b.tar.gz"))
            left = sorted(path.name for path in place.rglob("*") if path.is_file() and path not in before)
            return held and not left, said + (f"; left {', '.join(left)}" if left else "")

    return attack


def _deck(place: Path, _: Path) -> None:
    from dashboard.decks import store

    store.save("b", [store.Slide("trajectory", {}, "plane", "t" * 100, "n" * 5_000)] * 40)


def _publish(place: Path, _: Path) -> None:
    write.publish(place / "data", str(place / "all.duckdb"))


def _restore(place: Path, source: Path) -> Any:
    return backup.read(source, place / "new")


def _restore_in_the_way(folder: Path) -> Said:
    write.save(build_record("Elsewhere"), folder / "elsewhere")
    write.pack(folder / "elsewhere")
    backup.write(folder / "elsewhere", folder / "b.tar.gz")
    (folder / "new" / schema.DATABASE / "in the way").mkdir(parents=True)
    return sentence(lambda: backup.read(folder / "b.tar.gz", folder / "new", replace=True))


row(
    "21", "Backup or restore on a full or read-only disk", "test_backup: full_disk, in_the_way; faults.py: disks",
    {
        "as shown": on_disk(lambda place, _: backup.write(place / "data", place / "b.tar.gz"), 0),
        "restore on a full disk": on_disk(_restore, 0),
        "restore on a read-only disk": on_disk(_restore, None),
        "backup on a read-only disk": on_disk(lambda place, _: backup.write(place / "data", place / "b.tar.gz"), None),
        "a folder in the way of the database": _restore_in_the_way,
    },
)  # fmt: skip
row(
    "22", "A pack with 37 kB free", "test_store_write: full_disk; faults.py: disks",
    {
        "as shown": on_disk(lambda place, _: write.pack(place / "data"), 37_000),
        "with nothing free": on_disk(lambda place, _: write.pack(place / "data"), 0),
        "all tables to a file": on_disk(_publish, 37_000),
        "a deck": on_disk(_deck, 37_000),
        "on a read-only disk": on_disk(lambda place, _: write.pack(place / "data"), None),
    },
)  # fmt: skip


def bomb(make: Callable[[Path], Any]) -> Attack:
    """A small backup that unpacks to much."""

    def attack(folder: Path) -> Said:
        make(folder / "b.tar.gz")
        most: list[int] = [0]
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(0.05):
                sizes = 0
                for path in (folder / "new").rglob("*"):
                    with contextlib.suppress(OSError):
                        sizes += path.stat().st_size
                most[0] = max(most[0], sizes)

        threading.Thread(target=watch, daemon=True).start()
        began = time.perf_counter()
        held, said = sentence(lambda: backup.read(folder / "b.tar.gz", folder / "new"))
        seconds = time.perf_counter() - began
        ended.set()
        return held and most[0] < 100 << 20, f"{said}; {most[0] >> 20} MB written, {seconds:.1f} s"

    return attack


def _of_manifest(**files: str) -> bytes:
    return json.dumps({"schema_version": 1, "files": files}).encode()


def _long_header(path: Path) -> None:
    member = tarfile.TarInfo("x")
    member.type, member.size = tarfile.XHDTYPE, 1 << 30
    path.write_bytes(gzip.compress(member.tobuf(tarfile.USTAR_FORMAT) + bytes(300 << 20), 1))


ZEROS = 1 << 30
row(
    "23", "A backup that unpacks to gigabytes", "test_backup: bomb",
    {
        "as shown": bomb(
            lambda path: archive(path, {"decks/bomb.json": bytes(ZEROS), backup.MANIFEST: _of_manifest()})
        ),
        "named by its manifest": bomb(lambda path: archive(
            path, {"decks/bomb.json": bytes(ZEROS), backup.MANIFEST: _of_manifest(**{"decks/bomb.json": "0" * 64})})),
        "a manifest of a gigabyte": bomb(lambda path: archive(path, {backup.MANIFEST: bytes(ZEROS)})),
        "a header of a gigabyte": bomb(_long_header),
    },
)  # fmt: skip


def member(name: str) -> Attack:
    """A backup with a file of another name."""

    def attack(folder: Path) -> Said:
        import hashlib

        content = b"{}"
        digest = hashlib.sha256(content).hexdigest()
        path = archive(folder / "b.tar.gz", {name: content, backup.MANIFEST: _of_manifest(**{name: digest})})
        held, said = sentence(lambda: backup.read(path, folder / "new"))
        return held, said

    return attack


row(
    "24", "Names of files in a backup", "test_backup: exact_name",
    {
        "as shown": member("jobs/softh.duckdb"),
        "below another folder": member("x/softh.duckdb"),
        "a folder more": member("runs/a/b.parquet"),
        "a line break": member("decks/a\nb.json"),
        "hidden": member("decks/.hidden.json"),
        "in capitals": member("RUNS/a.parquet"),
    },
)  # fmt: skip
KILLED = """
import sys, pathlib
from softh.store import backup
print(1, flush=True)
backup.{}(*map(pathlib.Path, sys.argv[1:]))
"""


def killed(task: str, times: int) -> Attack:
    """Backups or restores that are killed, and one that is not: what is left of the former."""

    def attack(folder: Path) -> Said:
        for number in range(60):
            write.save(build_record(f"Model-{number}", layers=8), folder / "full")
        backup.write(folder / "full", folder / "b.tar.gz")
        target = folder / "target" / "b.tar.gz" if task == "write" else folder / "target"
        arguments = (folder / "full", target) if task == "write" else (folder / "b.tar.gz", target)
        before = 0
        for number in range(times):
            command = [sys.executable, "-c", KILLED.format(task), *map(str, arguments)]
            with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
                assert child.stdout is not None
                child.stdout.readline()
                time.sleep(0.05 + 0.1 * number)
                child.kill()
        before = len(_strays(folder / "target"))
        for path in _strays(folder / "target"):
            os.utime(path, (0, 0))
        getattr(backup, task)(*arguments)
        after = len(_strays(folder / "target"))
        return not after, f"{before} left by {times} kills, {after} after the next that ended"

    return attack


def _strays(folder: Path) -> list[Path]:
    return [path for path in folder.glob("*") if path.name.startswith(".") or path.suffix == ".tmp"]


def _no_stray_log(folder: Path) -> Said:
    held, said = on_disk(lambda place, _: write.pack(place / "data"), 150_000)(folder)
    return "wal" not in said, said if not held else "no log is left"


row(
    "25", "A restore or backup that is killed", "test_backup: killed_restore; faults.py: kills",
    {
        "as shown": killed("read", 6),
        "a backup": killed("write", 6),
        "many restores": killed("read", 15),
        "a pack that ends halfway": _no_stray_log,
    },
)  # fmt: skip


# 27, 29: the queue


def insert(number: int = 1, **values: object) -> None:
    """Store jobs as another program might."""
    with records.connect(jobs.folder()) as connection:
        for place in range(number):
            columns = {"kind": "steps", "spec": json.dumps({"n": place}), "title": "one", "submitted": 0.0, **values}
            marks = ", ".join("?" * len(columns))
            connection.execute(f"INSERT INTO jobs ({', '.join(columns)}) VALUES ({marks})", [*columns.values()])


def listed(**values: object) -> Attack:
    """Many jobs, and how many of them a list has."""

    def attack(_: Path) -> Said:
        data()
        insert(1_000, **values)
        number = len(jobs.listing())
        missing = getattr(jobs, "unlisted", lambda: 0)()
        said = f", {missing} are said to be left out" if missing else ""
        return number + missing == 1_000, f"{number} listed{said}"

    return attack


row(
    "27", "A thousand queued jobs", "test_queue_faults: every_open_job",
    {
        "as shown": listed(),
        "a thousand that ended": listed(state="done"),
        "a thousand that failed": listed(state="failed"),
        "a thousand that were interrupted": listed(state="interrupted"),
    },
)  # fmt: skip


def unreadable(**values: object) -> Attack:
    """A job whose record cannot be read."""

    def attack(_: Path) -> Said:
        from softh.jobs.supervisor import Supervisor

        data()
        insert(1, **values)
        Supervisor(jobs.folder(), lambda: False).run_next({})
        [job] = jobs.listing()
        return job.state == "failed", f"{job.state}"

    return attack


def stray(code: str) -> Attack:
    """A job whose process leaves one behind that keeps its pipe."""

    def attack(folder: Path) -> Said:
        from softh.jobs import processes
        from softh.jobs.supervisor import Supervisor

        real, place = subprocess.Popen, Path.cwd()

        def started(queue: Path, number: int, *_: object, **__: object) -> Any:
            environment = os.environ | {processes.MARK: f"{queue.resolve()}#{number}"}
            return real([sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True, env=environment)

        data()
        processes.start = started  # ty: ignore[invalid-assignment]
        insert()
        ended: list[float] = []
        began = time.monotonic()

        def work() -> None:
            Supervisor(jobs.folder(), lambda: False).run_next({})
            ended.append(time.monotonic() - began)

        threading.Thread(target=work, daemon=True).start()
        deadline = time.monotonic() + 40
        while not ended and time.monotonic() < deadline:
            time.sleep(0.2)
        left = len(processes.orphans(jobs.folder()))
        processes.kill_orphans(jobs.folder())
        os.chdir(place)
        if not ended:
            return False, "the slot is held after 40 s"
        return not left, f"the slot is free after {ended[0]:.1f} s, {left} processes left"

    return attack


DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)"
SLEEP = "import time; time.sleep(300)"
SESSION = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {SLEEP!r}], start_new_session=True)"
row(
    "29", "A process of a job leaves its session and keeps the pipe", "test_queue_faults: left_its_group",
    {
        "as shown": stray(SESSION),
        "five of them": stray(f"{SESSION}\n" * 5),
        "one that ignores SIGTERM": stray(SESSION.replace("import time", f"{DEAF}; import time")),
        "a child of its child": stray(
            f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {SESSION!r}], start_new_session=True)"
        ),
    },
)  # fmt: skip
row(
    "29b", "A record of a job that cannot be read", "test_queue_faults: cannot_be_read",
    {
        "as shown": unreadable(spec="{"),
        "a list": unreadable(spec="[]"),
        "options that are a number": unreadable(options="3"),
        "nested": unreadable(spec="[" * 100_000),
    },
)  # fmt: skip
row(
    "33", "Pages may be framed", "test_hosts: framed, headers",
    {
        "as shown": headers_of("/"),
        "a page": headers_of("/analyze"),
        "a static file": headers_of("/static/nothing.js"),
        "the health": headers_of("/health"),
    },
)  # fmt: skip


# 34: mutated scores


def mutants(name: str, content: Callable[[], bytes]) -> Attack:
    """600 mutations of a file of scores."""

    def attack(_: Path) -> Said:
        import random

        from softh.scores import load

        whole, dice, wrong = content(), random.Random(0), dict[str, int]()
        for _number in range(600):
            changed = bytearray(whole)
            for place in dice.sample(range(len(whole)), dice.choice((1, 2, 20))):
                changed[place] = dice.randrange(256)
            try:
                load.read_scores(name, bytes(changed))
            except InputError as error:
                if len(str(error).splitlines()) != 1:
                    wrong["several lines"] = wrong.get("several lines", 0) + 1
            except BaseException as error:  # noqa: BLE001 - a panic is one
                wrong[type(error).__name__] = wrong.get(type(error).__name__, 0) + 1
        return not wrong, f"of 600: {wrong}" if wrong else "of 600 none but rows and sentences"

    return attack


SCORES = {"model": ["m"] * 3, "task": ["t", "u", "v"], "score": [1.0] * 3}
row(
    "34", "Mutated Parquet files of scores", "test_uploaded_tables: mutated; faults.py: mutated files",
    {
        "as shown": mutants("s.parquet", lambda: parquet(SCORES)),
        "CSV": mutants("s.csv", lambda: pl.DataFrame(SCORES).write_csv().encode()),
        "JSON": mutants("s.json", lambda: pl.DataFrame(SCORES).write_json().encode()),
        "results of lm-eval": mutants("r.json", lambda: json.dumps(
            {"results": {"t": {"acc,none": 0.5}}, "config": {"model_args": "pretrained=a"}}).encode()),
    },
)  # fmt: skip

if __name__ == "__main__":
    main()
