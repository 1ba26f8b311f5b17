"""The form of the analyze page for model, text and settings: from a hub id, a folder or an upload to specifications."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import cycle
from typing import Any, NoReturn

import streamlit as st

from dashboard import escape
from dashboard.controls import browser, controls, session
from dashboard.server import streamlit_internals
from softh.checkpoints import hub, server_folders
from softh.checkpoints.revisions import log_spaced_revisions, parse_revision
from softh.errors import InputError
from softh.format import and_more, format_size
from softh.spec import EstimateSpec, offered, stored_name
from softh.text import sources
from softh.uploads import receive, texts

HUB, FOLDER, UPLOAD = "Hub", "Server folder", "Upload"
FIELDS = {field.name: field for field in fields(EstimateSpec)}
TEXTS = {source.label: source for source in sources.SOURCES}
_ONE, _SEVERAL = "one", "a trajectory"
_FEWEST_LETTERS = 3
"""Letters from which on the hub is asked."""
_searcher = st.components.v2.component(
    "softh_hub_search",
    html=browser.asset("hub_search.html"),
    css=browser.asset("hub_search.css"),
    js=browser.asset("hub_search.js"),
)
_MIN_TRAJECTORY = 3
"""Training revisions that make a trajectory."""


@dataclass(frozen=True)
class ChosenModel:
    """One model and its revisions."""

    name: str
    """As an EstimateSpec names it."""
    revisions: tuple[str | None, ...] = (None,)
    title: str | None = None
    """For people, where the name is a digest."""


def model() -> ChosenModel | None:
    """The model that the reader names, in one of three ways; None while nothing is named."""
    way = controls.segments("Where is the checkpoint?", [HUB, FOLDER, UPLOAD], "way", where=st.container())
    return {HUB: _from_hub, FOLDER: _from_folder, UPLOAD: _from_upload}[way]()


def specs(chosen: ChosenModel, corpus: str, settings: dict[str, Any]) -> list[EstimateSpec]:
    """One specification a revision. Errors: InputError for settings out of bounds."""
    return [
        EstimateSpec.from_options({**settings, "model": chosen.name, "revision": revision, "corpus": corpus})
        for revision in chosen.revisions
    ]


def settings() -> dict[str, Any]:
    """Settings of the estimate: how much text stands open, the rest is folded away."""
    left, right = st.columns(2)
    values: dict[str, Any] = {
        "documents": _number("Documents", "documents", (16, 32, 64, 128, 256, 512, 1024), left),
        "context": _number("Tokens per document", "context", (32, 64, 128, 256, 512, 1024), right),
    }
    with st.expander("More settings"):
        st.caption("Estimates are comparable only with identical settings and text (except repeats and folds).")
        left, right = st.columns(2)
        values["draws"] = _number("Repeats", "draws", (2, 4, 8, 16, 32, 64), left)
        values["bins"] = _number("Directions per repeat", "bins", (25, 50, 100, 200, 400), right)
        choices = {name: options for name, field in FIELDS.items() if (options := offered(field, EstimateSpec))}
        for (name, options), place in zip(choices.items(), cycle((left, right)), strict=False):
            # The keys are in links, so a renamed setting has its former name there.
            label, key, default = name.replace("_", " ").capitalize(), stored_name(FIELDS[name]), FIELDS[name].default
            values[name] = controls.select(label, options, key, default=str(default), where=place)
        values["center"] = controls.toggle("Subtract the mean state first", "centred", where=left)
        values["seed"] = int(controls.number("Seed (0)", "seed", low=0, high=2**31, step=1.0, where=right) or 0)
    return values


def _number(label: str, name: str, options: Sequence[int], where: Any) -> int:
    """One of some numbers, among them the default of the specification, which is where the control stands at first."""
    default: Any = FIELDS[name].default
    texts = [str(option) for option in sorted({*options, default})]
    return int(controls.slider(label, texts, name, default=str(default), where=where))


def _from_hub() -> ChosenModel | None:
    where = st.container()
    entry = controls.text("Model on the hub", session.HUB_MODEL.key, placeholder="EleutherAI/pythia-14m", where=where)
    if st.toggle("Search the hub as you type", key="searching", help=_SEARCH_HELP):
        _search()
    if not entry:
        st.caption("A gated or private model needs a login on this server: `hf auth login`, or `HF_TOKEN`.")
        return None
    name, _, commit = entry.partition("@")
    if commit:
        return ChosenModel(name, (commit,))
    names = _revisions(name)
    training = _training_revisions(names)
    modes = [_ONE, _SEVERAL] if len(training) >= _MIN_TRAJECTORY else [_ONE]
    left, right = st.columns([1, 2])
    if len(modes) > 1 and controls.segments("Checkpoints", modes, "checkpoints", where=left) == _SEVERAL:
        return ChosenModel(name, _trajectory(training, right))
    default = "main" if "main" in names else names[0]
    return ChosenModel(name, (controls.select("Branch or tag", names, "at", default=default, where=right),))


@st.fragment
def _search() -> None:
    """Models of the hub by a part of their names; what is chosen becomes the model of the form."""
    if session.HUB_FOUND.pop():
        st.rerun()
    typed = str((session.HUB_SEARCH.get() or {}).get("typed") or "").strip()
    found, said = list[str](), ""
    if len(typed) >= _FEWEST_LETTERS:
        try:
            found = _found(typed.lower())
            said = "" if found else f"No model on the hub matches “{typed[:60]}”."
        except InputError as error:
            said = str(error)
    data = {"found": found, "said": said, "fewest": _FEWEST_LETTERS}
    _searcher(key=session.HUB_SEARCH.key, data=data, on_typed_change=lambda: None, on_chosen_change=_choose_found)


def _choose_found() -> None:
    if chosen := session.HUB_SEARCH.get()["chosen"]:
        session.HUB_MODEL.set(str(chosen))
        session.HUB_FOUND.set(True)


@st.cache_data(ttl=300, max_entries=256, show_spinner=False)
def _found(words: str) -> list[str]:
    return hub.search(words)


def _trajectory(training: list[str], where: Any) -> tuple[str, ...]:
    most = min(len(training), 32)
    counts = [str(count) for count in range(2, most + 1)]
    count = controls.slider("How many, log-spaced", counts, "points", default=str(min(8, most)), where=where)
    revisions = log_spaced_revisions(training, int(count))
    where.caption(f"{escape.markdown(and_more(revisions))}, of {len(training)}; each is a job of its own.")
    return tuple(revisions)


def _training_revisions(names: Sequence[str]) -> list[str]:
    """Training revisions of the stage and seed that have most of them: steps of several do not compare."""
    runs: dict[tuple[int | None, str | None], list[str]] = {}
    for name in names:
        parsed = parse_revision(name)
        if parsed and parsed.step is not None and parsed.ingredient is None:
            runs.setdefault((parsed.stage, parsed.seed), []).append(name)
    return max(runs.values(), key=len, default=[])


@st.cache_data(ttl=300, max_entries=64, show_spinner="Asking the hub …")
def _revisions(name: str) -> list[str]:
    revisions = hub.list_revisions(name)
    if not revisions:
        raise InputError(f"{name} has no branch on the hub; expected at least main: check its page.")
    return revisions


def _from_folder() -> ChosenModel | None:
    models = server_folders.list_models()
    if not models:
        st.info(
            "No folders configured. Set `SOFTH_MODELS=/path/a:/path/b` and restart.",
            icon=":material/folder_off:",
        )
        return None
    name = controls.select("Model in a folder of this server", list(models), "folder", where=st.container())
    return ChosenModel(str(models[name]))


def _from_upload() -> ChosenModel | None:
    files = _upload(
        "One archive (.zip, .tar, .tar.gz), or config.json, tokenizer.json and the safetensors files",
        "upload",
        many=True,
    )
    st.caption("Safetensors and JSON only: no pickle is opened and no code of a model is ever run.")
    if files:
        _accept(files)
    uploads = {_label(accepted): accepted for accepted in receive.list_models()}
    if not uploads:
        return None
    none = "–"
    name = controls.select("Uploaded checkpoint", [none, *uploads], session.UPLOADED_MODEL.key, where=st.container())
    return None if name == none else _chosen(uploads[name])


def _label(accepted: receive.Accepted) -> str:
    return f"{accepted.name} ({accepted.model[-6:]})"


def _chosen(accepted: receive.Accepted) -> ChosenModel:
    if accepted.left_out:
        left_out = escape.markdown(and_more(accepted.left_out))
        st.caption(f"Left out of its settings, because they load or fetch something: {left_out}.")
    return ChosenModel(accepted.model, title=accepted.name)


def _accept(files: Sequence[Any]) -> None:
    """Accept an upload and choose it. Raises InputError, again in each run as long as the same files are there."""
    ids = [file.file_id for file in files]
    refused = session.REFUSED_UPLOAD.get()
    if refused[0] != ids:
        with st.spinner("Checking every file …"):
            try:
                accepted = receive.accept(files)
            except InputError as error:
                refused = ids, str(error)
                session.REFUSED_UPLOAD.set(refused)
            else:
                session.UPLOADED_MODEL.set(_label(accepted))
                _clear_upload("upload", files)
    raise InputError(refused[1])


def text() -> str | None:
    """The text to measure on, as a specification names it; None while none is there."""
    name = controls.select("Text", list(TEXTS), "text", help=_TEXT_HELP, where=st.container())
    source = TEXTS[name]
    st.caption(source.summary)
    if not source.handles_files:
        return source.name
    files = _upload("Text file, one document a row or paragraph", "text-file")
    if files:
        session.UPLOADED_TEXT.set(texts.save(files[0].name, files[0].getvalue()).resolve())
        _clear_upload("text-file", files)
    path = session.UPLOADED_TEXT.get()
    if path is None or not path.exists():
        return None
    st.caption(f"Chosen: {escape.markdown(path.name)}, {format_size(path.stat().st_size)}.")
    return f"file:{path}"


def _upload(label: str, key: str, *, many: bool = False) -> list[Any]:
    """The files that were sent and not cleared yet."""
    number = session.upload_round(key).get()
    files = st.file_uploader(label, accept_multiple_files=many, key=f"{key}-{number}")
    return list(files) if isinstance(files, list) else [files] if files else []


def _clear_upload(key: str, files: Sequence[Any]) -> NoReturn:
    """Empty an upload control, free the bytes of its files, and run the page again."""
    streamlit_internals.delete_uploaded(files)
    round_number = session.upload_round(key)
    round_number.set(round_number.get() + 1)
    st.rerun()


_SEARCH_HELP = (
    "Asks huggingface.co, or the server of HF_ENDPOINT, for names that hold what you type; nothing else is sent."
)
_TEXT_HELP = "Estimates are comparable only on the same documents."
