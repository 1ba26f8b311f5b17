"""The tables as a data set for others: a folder of Parquet files with a card, or a repository of the hub."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from softh import __version__
from softh.errors import InputError
from softh.store import dataset, read, schema
from softh.store.dataset import File, TakenIn

HUB = "hub:"
"""Begins the name of a repository of the hub."""
_NAME = re.compile(r"[\w.-]+/[\w.-]+")
_COLUMN = re.compile(r"\s+([a-z_]+)\s+([A-Z]+(?:\[\])?)[^-]*(?:--\s*(.*))?")
_LISTED = 60
"""Lines of a table of a card at most."""
_PAPERS = """\
@inproceedings{conklin2026learning,
  title = {Learning is Forgetting: {LLM} Training As Lossy Compression},
  author = {Conklin and others},
  booktitle = {International Conference on Learning Representations},
  year = {2026},
  eprint = {2604.07569},
  archivePrefix = {arXiv}
}
@article{conklin2025soft,
  title = {The estimator of soft entropy},
  author = {Conklin},
  year = {2025},
  eprint = {2505.23960},
  archivePrefix = {arXiv}
}"""


def publish(
    data: Path, target: str, *, title: str, licence: str, author: str, models: Sequence[str] = (), private: bool = False
) -> list[File]:
    """Write the tables with a card into a folder, or as a data set of the hub where target is ``hub:owner/name``.

    For the hub the token is the one that its own client finds (``hf auth login``, or HF_TOKEN).

    Raises:
        InputError: for a folder with something in it, a name that the hub would refuse, no token, and a hub or disk in
            trouble.
    """
    if not target.startswith(HUB):
        folder = Path(target).expanduser()
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise InputError(f"{folder} has something in it; expected a new or empty folder: name another one.")
        return _write(data, folder, title, licence, author, models)
    name = _name_of(target)
    with TemporaryDirectory() as scratch:
        from huggingface_hub import HfApi, get_token  # takes a second to import
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError

        if get_token() is None:
            raise InputError(f"{target} needs a token of the hub; expected one: run `hf auth login` or set HF_TOKEN.")
        files = _write(data, Path(scratch), title, licence, author, models)
        try:
            HfApi().create_repo(name, repo_type="dataset", private=private, exist_ok=True)
            HfApi().upload_folder(
                repo_id=name, repo_type="dataset", folder_path=scratch, commit_message=f"Tables of softh {__version__}"
            )
        except (HfHubHTTPError, HFValidationError, OSError) as error:
            raise _in_trouble(target, error, "check the token's rights, the name and the network") from None
    return files


def take_in(source: str, data: Path) -> TakenIn:
    """Store what :func:`publish` wrote: a folder, or ``hub:owner/name``. Errors: InputError."""
    if not source.startswith(HUB):
        return dataset.take_in(Path(source).expanduser(), data)
    from huggingface_hub import snapshot_download  # takes a second to import
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    patterns = [dataset.MANIFEST, *(f"{name}.parquet" for name in schema.names())]
    try:
        folder = snapshot_download(_name_of(source), repo_type="dataset", allow_patterns=patterns)
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise _in_trouble(source, error, "check the name and the network") from None
    return dataset.take_in(Path(folder), data)


def _name_of(target: str) -> str:
    name = target.removeprefix(HUB)
    if not _NAME.fullmatch(name):
        raise InputError(f"The data set was {target!r}; expected a folder, or hub:owner/name: correct it.")
    return name


def _in_trouble(target: str, error: Exception, remedy: str) -> InputError:
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    return InputError(f"{target} cannot be reached ({type(error).__name__}: {reason}): {remedy}.")


def _write(data: Path, folder: Path, title: str, licence: str, author: str, models: Sequence[str]) -> list[File]:
    if all(rows.is_empty() for rows in (read.estimates(data), read.probes(data), read.benchmarks(data))):
        raise InputError(f"{data} has no estimate and no score to publish: make one, or name another folder by --data.")
    files = dataset.save(data, folder, models)
    text = card(folder, files, title=title, licence=licence, author=author)
    (folder / "README.md").write_text(text, encoding="utf-8")
    return files


def card(folder: Path, files: Sequence[File], *, title: str, licence: str, author: str) -> str:
    """README.md of a data set: metadata for the hub, tables and their columns, provenance, licence, how to cite."""
    from huggingface_hub import DatasetCardData  # takes a second to import

    first = "estimates" if any(each.table == "estimates" for each in files) else files[0].table
    configs = [
        {"config_name": each.table, "data_files": each.name} | ({"default": True} if each.table == first else {})
        for each in files
    ]
    head = DatasetCardData(
        license=licence, pretty_name=title, configs=configs,
        tags=["softh", "information-plane", "information-bottleneck", "soft-entropy", "language-models"],
    )  # fmt: skip
    parts = [
        f"---\n{head.to_yaml()}\n---\n",
        f"# {_plain(title)}",
        "Estimates of the information plane of language models by softh "
        f"{__version__}: how much hidden states represent of their input, I(X;Z), and of what follows, I(Y;Z). "
        "Information and entropy are in units of log n, from 0 to 1, unless a column says otherwise.",
        "```python\nfrom datasets import load_dataset\n\nestimates = load_dataset(PATH_OR_NAME, "
        f'"{first}", split="train")\n```\n\n'
        "`softh import PATH` or `softh import hub:OWNER/NAME` puts them into tables of your own.",
        _files(files),
        *_provenance(folder, files),
        "## Columns",
        *(_columns(each.table) for each in files),
        f"## Licence\n\n{licence}. The texts that were measured are not part of this data set.",
        f"## How to cite\n\n```bibtex\n{_citation(title, author)}\n{_PAPERS}\n```",
    ]
    return "\n\n".join(parts) + "\n"


def _files(files: Sequence[File]) -> str:
    lines = [f"| `{each.name}` | {each.rows:,} | {each.size:,} | `{each.sha256}` |" for each in files]
    return "\n".join(["## Files", "", "| file | rows | bytes | SHA-256 |", "|---|---|---|---|", *lines])


def _provenance(folder: Path, files: Sequence[File]) -> list[str]:
    """Where models, texts and numbers come from, as the tables say."""
    there = {each.table: pl.read_parquet(folder / each.name) for each in files if each.table != "measures"}
    parts = []
    if "estimates" in there:
        estimates = there["estimates"]
        days = estimates["created_at"].dt.date()
        parts.append(
            f"## Provenance\n\n{estimates.height:,} estimates, {days.min()} to {days.max()} (UTC), estimators "
            f"{', '.join(estimates['estimator'].unique().sort())}, on {', '.join(_devices(estimates))}. Each row has "
            "its whole specification, the digest of the weights, the versions of the libraries and the seed."
        )
        parts.append(_table("corpus", estimates, ["corpus", "corpus_digest", "documents", "context"]))
    if "models" in there:
        parts.append(_table("model", there["models"], ["model", "source", "weights", "parameters"], count=False))
    if "benchmarks" in there:
        parts.append(_table("score", there["benchmarks"], ["source"]))
    return parts


def _devices(estimates: pl.DataFrame) -> list[str]:
    return estimates.select(kind=pl.format("{} ({})", "device", "dtype"))["kind"].unique().sort().to_list()


def _table(what: str, rows: pl.DataFrame, columns: list[str], *, count: bool = True) -> str:
    counted = rows.group_by(columns).len("rows").sort("rows", *columns, descending=[True, *[False] * len(columns)])
    names = [*columns, "rows"] if count else columns
    lines = ["| " + " | ".join(_cell(row[name]) for name in names) + " |" for row in counted.head(_LISTED).to_dicts()]
    more = [f"\n… and {counted.height - _LISTED:,} more."] if counted.height > _LISTED else []
    head = [f"### By {what}", "", "| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    return "\n".join([*head, *lines, *more])


def _cell(value: object) -> str:
    text = f"{value:,}" if isinstance(value, int) else str(value)
    return _plain(text)[:80]


def _plain(text: str) -> str:
    """A text of somebody else without signs of Markdown, HTML or tables."""
    return re.sub(r"[\s|<>`\[\]]+", " ", text).strip()


def _columns(table: str) -> str:
    """The columns of a table with their types and units, as schema.sql has them."""
    block = re.search(rf"CREATE TABLE {table} \((.*?)\n\);", schema.SQL, re.DOTALL)
    found = [_COLUMN.match(line) for line in (block[1].splitlines() if block else ())]
    lines = [f"| `{each[1]}` | {each[2]} | {_plain(each[3] or '')} |" for each in found if each]
    return "\n".join([f"### `{table}`", "", "| column | type | |", "|---|---|---|", *lines])


def _citation(title: str, author: str) -> str:
    year = datetime.now(UTC).year
    plain = {name: re.sub(r"[{}\\]", "", _plain(value)) for name, value in (("title", title), ("author", author))}
    return (
        f"@misc{{softh-tables-{year},\n  title = {{{plain['title']}}},\n  author = {{{plain['author']}}},\n"
        f"  year = {{{year}}},\n  note = {{Made with softh {__version__}}}\n}}"
    )
