"""Kinds of jobs: how each is described and what it does in the process of the job. Loads torch only when one runs."""

import dataclasses
import json
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

from softh import settings
from softh.errors import InputError
from softh.jobs import processes
from softh.progress import Progress
from softh.spec import EstimateSpec, PreferenceSpec
from softh.text import sources
from softh.uploads import sandbox, texts

if TYPE_CHECKING:
    from softh.checkpoints.resolve import Checkpoint
    from softh.text.corpus import Corpus

Options = Mapping[str, Any]
UPLOAD = "upload:"
"""What the name of an uploaded model begins with."""
HOURS = 24
"""Of every core: the processor time that the estimate of an upload may take."""
_MEMORY = 0.9
"""Part of the machine's memory that it may take."""


@dataclass(frozen=True)
class SweepRequest:
    """Specification of a sweep: its recipe, and the folder that the recipe's relative paths start from."""

    recipe: str
    folder: str = "."

    def canonical(self) -> str:
        """Canonical JSON."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True, separators=(",", ":"))


@dataclass(frozen=True)
class JobKind:
    """One kind of job; a new one is an entry of :data:`KINDS`."""

    run: Callable[[str, Options, Progress], str]
    """(canonical JSON of the specification, options, progress) → id of the stored estimate, or a sentence."""
    spec: type | None = None
    """Type of the specification, with a method `canonical`; None where jobs are submitted as JSON only."""
    title: Callable[[Any, str | None], str] = lambda spec, name: f"{name}: {spec}"
    """(specification, name of the model for people) → title of the job."""
    absolute: Callable[[Any], Any] = lambda spec: spec
    """The specification with absolute paths: the worker runs in another folder."""
    stores: bool = True
    """Whether the result is the id of a stored estimate; else it is a sentence."""


def run(kind: str, spec: str, options: Options, progress: Progress) -> str:
    """Run a job in this process and return its result. Errors: InputError, also for a kind that is not registered."""
    if kind not in KINDS:
        raise InputError(f"The kind of the job was {kind!r}; expected one of {', '.join(KINDS)}: upgrade softh.")
    return KINDS[kind].run(spec, options, progress)


def kind_of(spec: object) -> str:
    """Name of the kind whose specifications are of this type."""
    return next(name for name, kind in KINDS.items() if kind.spec is not None and isinstance(spec, kind.spec))


def untrusted(spec: Mapping[str, Any]) -> bool:
    """Whether a job opens what a stranger uploaded, so that it gets no token and no network."""
    return str(spec.get("model", "")).startswith(UPLOAD) or texts.is_uploaded(str(spec.get("corpus", "")))


def estimate(spec: str, options: Options, progress: Progress) -> str:
    """Estimate a checkpoint and store it; what the job stored before it was interrupted is not computed again."""
    fields = json.loads(spec)
    commit = fields.pop("commit", None)
    asked = EstimateSpec.from_json(json.dumps(fields))
    checkpoint, text = _opened(asked, commit, progress)

    from softh.estimator.pipeline import estimate_model
    from softh.models import hidden_states
    from softh.models.cache import open_cache, remove_orphans
    from softh.spec import identity
    from softh.store import write

    data = Path(options.get("data") or settings.data())
    estimate_id = identity(asked.canonical(), checkpoint.digest, text.digest)
    if not _stored_since(data, estimate_id, options.get("submitted")):
        progress("loading", 0, 1)
        model = hidden_states.load_model(checkpoint, asked.dtype, options.get("device", "auto"))
        remove_orphans(settings.cache())
        with open_cache(settings.cache()) as cache:
            made = estimate_model(asked, checkpoint, model, text, cache=cache, progress=progress)
        write.save(made.record(), data)
    return estimate_id


def preference(spec: str, options: Options, progress: Progress) -> str:
    """Probe a checkpoint with preference pairs and store the probe."""
    asked = PreferenceSpec.from_json(spec)
    if untrusted({"model": asked.model}):
        _confine()
    from softh.checkpoints import resolve
    from softh.models import hidden_states
    from softh.preference import pairs
    from softh.preference.probe import estimate_model
    from softh.spec import identity
    from softh.store import write

    data = Path(options.get("data") or settings.data())
    progress("pairs", 0, 1)
    found = pairs.load(asked.pairs, asked.limit, asked.seed)
    progress("model", 0, 1)
    checkpoint = resolve.resolve(asked.model, asked.revision)
    estimate_id = identity(asked.canonical(), checkpoint.digest, found.digest)
    if not _stored_since(data, estimate_id, options.get("submitted")):
        progress("loading", 0, 1)
        model = hidden_states.load_model(checkpoint, asked.dtype, options.get("device", "auto"))
        write.save(estimate_model(asked, checkpoint, model, found, progress=progress).record(), data)
    return estimate_id


def sweep(spec: str, options: Options, progress: Progress) -> str:
    """Estimate what a recipe asks for and the store lacks; what failed makes the job fail, and a retry goes on."""
    from softh.sweeps import driver

    asked = json.loads(spec)
    os.chdir(asked["folder"])
    names = {field.name for field in dataclasses.fields(driver.SweepOptions)}
    sweep_options = driver.SweepOptions(**{name: value for name, value in options.items() if name in names})
    data = Path(options.get("data") or settings.data())
    summary = driver.run_sweep(Path(asked["recipe"]), sweep_options, data, progress)
    if summary.failures:
        raise InputError(summary.sentence())
    return summary.sentence()


def _estimate_title(spec: EstimateSpec, name: str | None) -> str:
    revision = f" at {spec.revision}" if spec.revision else ""
    corpus = Path(spec.corpus.removeprefix("file:")).name
    return f"{name or _model_name(spec.model)}{revision} on {corpus}, {spec.documents} × {spec.context} tokens"


def _estimate_absolute(spec: EstimateSpec) -> EstimateSpec:
    corpus = spec.corpus
    if corpus.startswith("file:"):
        corpus = f"file:{Path(corpus.removeprefix('file:')).expanduser().resolve()}"
    return replace(spec, model=_absolute(spec.model), corpus=corpus)


def _preference_title(spec: PreferenceSpec, name: str | None) -> str:
    pairs = Path(spec.pairs.removeprefix("file:")).expanduser()
    return f"{name or _model_name(spec.model)}: preferences of {pairs.name if pairs.exists() else spec.pairs}"


def _preference_absolute(spec: PreferenceSpec) -> PreferenceSpec:
    pairs = Path(spec.pairs.removeprefix("file:")).expanduser()
    return replace(spec, model=_absolute(spec.model), pairs=str(pairs.resolve()) if pairs.exists() else spec.pairs)


def _sweep_absolute(spec: SweepRequest) -> SweepRequest:
    return SweepRequest(str(Path(spec.recipe).expanduser().resolve()), str(Path(spec.folder).resolve()))


def _model_name(model: str) -> str:
    path = Path(model).expanduser()
    return path.name if path.exists() else model


def _absolute(model: str) -> str:
    path = Path(model).expanduser()
    return str(path.resolve()) if path.exists() else model


KINDS = {
    "estimate": JobKind(estimate, EstimateSpec, _estimate_title, _estimate_absolute),
    "preference": JobKind(preference, PreferenceSpec, _preference_title, _preference_absolute),
    "sweep": JobKind(
        sweep, SweepRequest, lambda spec, _: f"sweep of {Path(spec.recipe).stem}", _sweep_absolute, stores=False
    ),
}
"""Every kind of job by its name in the records."""


def _opened(asked: EstimateSpec, commit: str | None, progress: Progress) -> "tuple[Checkpoint, Corpus]":
    """Checkpoint and text; whatever was uploaded is opened last, when there is no network any more."""
    strange_model, strange_text = asked.model.startswith(UPLOAD), texts.is_uploaded(asked.corpus)
    if strange_model and (strange_text or not sources.find(asked.corpus).needs_network):
        _confine()  # before torch and its threads, which keep the kernel from giving a network of its own
    from softh.checkpoints import resolve
    from softh.text import corpus

    def model() -> "Checkpoint":
        progress("model", 0, 1)
        return resolve.resolve(asked.model, asked.revision) if commit is None else _pinned(asked, commit)

    def text() -> "Corpus":
        progress("text", 0, 1)
        return corpus.load(asked.corpus, asked.documents, asked.seed)

    if strange_text and not strange_model:
        found = model()
        _confine()
        return found, text()
    documents = text()
    if strange_model:
        _confine()
    return model(), documents


def _confine() -> None:
    """No network, and bounds of memory and processor time, from here on; once is enough."""
    import resource  # POSIX only, as the worker says

    global _confined  # noqa: PLW0603  (a process is confined for good)
    if _confined:
        return
    _confined = True
    on_gpu = bool(os.environ.get("CUDA_VISIBLE_DEVICES"))
    memory = None if on_gpu else int(_MEMORY * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    seconds = HOURS * 3600 * (os.cpu_count() or 1)
    sandbox.enter(sandbox.ProcessLimits(memory=memory, seconds=seconds))
    processes.set_parent_death_signal(os.getppid())  # the kernel forgets it when a process changes what it may do
    # A minute before the kernel kills it, the job says why.
    signal.signal(signal.SIGXCPU, _out_of_time)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds - 60, seconds))


_confined = False


def _out_of_time(number: int, frame: FrameType | None) -> NoReturn:
    raise InputError(
        f"The estimate of an upload took more than {HOURS} hours of every core, the most it may: choose fewer "
        "documents, or let whoever runs this server put the model in a folder."
    )


def _pinned(asked: EstimateSpec, commit: str) -> "Checkpoint":
    """The checkpoint of a commit, under the name of the revision that stood for it when it was asked for."""
    from softh.checkpoints import resolve
    from softh.checkpoints.revisions import exact_tokens, parse_revision

    made = resolve.resolve(asked.model, commit)
    revision = asked.revision or "main"
    parsed = parse_revision(revision)
    tokens = exact_tokens(asked.model, parsed)
    return replace(made, revision=revision, step=parsed.step if parsed else None, tokens=tokens)


def _stored_since(data: Path, estimate_id: str, moment: float | None) -> bool:
    """Whether the job itself stored this before it was interrupted."""
    from softh.store import read

    stored = read.query(data, "SELECT created_at FROM estimates WHERE estimate_id = $id", id=estimate_id)["created_at"]
    return moment is not None and any(made.replace(tzinfo=UTC).timestamp() >= moment for made in stored)
