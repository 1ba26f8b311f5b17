"""The registry of readers of benchmark scores, and the match of their models with those of the tables."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

from polars.exceptions import PanicException, PolarsError

from softh.errors import InputError
from softh.format import and_more
from softh.scores.hub_files import HubResults
from softh.scores.lm_eval import HarnessResults
from softh.scores.reader import ImportedScores, Row, ScoreReader, ScoreSource
from softh.scores.tables import CsvTable, HubTable, JsonTable, ParquetTable

READERS: tuple[ScoreReader, ...] = (HarnessResults(), HubResults(), ParquetTable(), JsonTable(), CsvTable(), HubTable())
"""The first that handles a source reads it."""
_OTHER_TOOLS = {"config_general": "lighteval", "instances": "HELM", "eval_results": "OpenCompass", "run_spec": "HELM"}
"""Key of a JSON object → the tool that writes such files, which no reader handles."""
_CANDIDATES = 3
_LONGEST = 200
"""Letters of a name that others are compared with; the time grows with their square."""


def read_scores(name: str, content: bytes | None = None, model: str | None = None) -> ImportedScores:
    """Scores of a file, or of a data set of the hub such as ``open-llm-leaderboard/contents`` without `content`.

    model: of the scores, for a file that names none.

    Errors: InputError for a file that no reader handles, or that its reader finds damaged or empty.

    >>> read_scores("mine.csv", b"model,task,score\\na,piqa,0.6\\n").rows[0]["score"]
    0.6
    """
    source = ScoreSource(name, content, model)
    if is_samples(name):
        raise InputError(
            f"{name} holds single answers of lm-evaluation-harness, not scores; expected the results_….json of the "
            "same run: name that file, or the folder of both."
        )
    try:
        for reader in READERS:
            if reader.handles(source):
                return reader.read(source)
    except (
        PolarsError,
        PanicException,
        RecursionError,
        OverflowError,
        TypeError,
        AttributeError,
        UnicodeError,
    ) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0][:200]
        raise InputError(f"{name} cannot be read ({reason}); expected one table of scores: check the file.") from None
    keys = list(source.json) if isinstance(source.json, dict) else []
    tool = next((tool for key, tool in _OTHER_TOOLS.items() if key in keys), None)
    kind = f"is a result file of {tool}" if tool else f"has the keys {and_more(keys)}" if keys else "has no rows"
    readable = "; ".join(reader.name for reader in READERS)
    raise InputError(
        f"{name} {kind}; expected one of: {readable}. Write its scores to a CSV with columns model, task, metric and "
        "score."
    )


def is_samples(name: str) -> bool:
    """Whether a file has the name that lm-evaluation-harness gives to single answers, which hold no score.

    >>> is_samples("samples_arc_easy_2024-10-05T09-00-00.jsonl"), is_samples("results_2024-10-05T09-00-00.json")
    (True, False)
    """
    return re.fullmatch(r"samples_.*\.jsonl?", Path(name).name) is not None


def result_files(folder: Path) -> tuple[list[Path], list[str]]:
    """Result files of lm-evaluation-harness in a folder and below it, in the order of their names, and notes.

    Errors: InputError for a folder without one.
    """
    files = sorted(path for path in folder.rglob("*.json*") if path.is_file())
    results = [path for path in files if re.fullmatch(r"results(_.*)?\.json", path.name)]
    if not results:
        held = f"holds {and_more([path.name for path in files])}" if files else "holds no .json file"
        raise InputError(f"{folder} {held}; expected results_….json of lm-evaluation-harness: name the file of scores.")
    samples = sum(is_samples(path.name) for path in files)
    return results, [f"{samples} files of single answers (samples_…) in {folder}: left out."] if samples else []


def unmatched_models(names: Iterable[str], known: Mapping[str, str], most: int | None = None) -> dict[str, list[str]]:
    """Names of scores that are not models of the tables (model → where it comes from), each with the nearest ones.

    most: names whose nearest are sought, the first; the others have none.

    A name matches when it is the model's name or its hub id, letter by letter; nothing is guessed.

    >>> unmatched_models(["pythia-160m", "Pythia-160M"], {"pythia-160m": "EleutherAI/pythia-160m"})
    {'Pythia-160M': ['pythia-160m']}
    """
    sources = {source for source, count in Counter(known.values()).items() if count == 1}
    matching = {*known, *sources}
    lower: dict[str, str] = {}
    for model, source in known.items():
        for form in (model, source, source.rsplit("/", 1)[-1]):
            lower.setdefault(form.lower(), model)
    unmatched = sorted(set(names) - matching)
    asked = unmatched[:most]
    return {name: _nearest(name, lower) if number < len(asked) else [] for number, name in enumerate(unmatched)}


def rename_models(rows: Sequence[Row], names: Mapping[str, str]) -> list[Row]:
    """The rows under other names of models. Errors: InputError where a name is not among them."""
    models = sorted({row["model"] for row in rows})
    if absent := sorted(set(names) - set(models)):
        raise InputError(f"No score is of {absent[0]!r}; expected one of {and_more(models)}.")
    return [{**row, "model": names.get(row["model"], row["model"])} for row in rows]


def _nearest(name: str, lower: Mapping[str, str]) -> list[str]:
    """Nearest models, by the whole name and by the part after the owner."""
    if len(name) > _LONGEST:
        return []
    forms = {name.lower(), name.rsplit("/", 1)[-1].lower()}
    near = [lower[match] for form in forms for match in get_close_matches(form, lower, _CANDIDATES, cutoff=0.5)]
    return list(dict.fromkeys(near))[:_CANDIDATES]
