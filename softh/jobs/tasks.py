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
from softh.checkpoints.files import UPLOAD
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
HOURS = 24
"""Processor time that the estimate of an upload may take on each core."""
_MEMORY = 0.9
"""Fraction of the memory of the machine that it may take."""


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
    """Whether a job opens an upload, so that its process gets no token and no network."""
    pairs = str(spec.get("pairs") or "").removeprefix("file:")
    return (
        str(spec.get("model", "")).startswith(UPLOAD)
        or texts.is_uploaded(str(spec.get("corpus", "")))
        or (bool(pairs) and texts.is_uploaded(f"file:{pairs}"))
    )


def run_estimate(spec: str, options: Options, progress: Progress) -> str:
    """Estimate a checkpoint and store the estimate, unless the same job stored it before an interruption."""
    fields = json.loads(spec)
    commit = fields.pop("commit", None)
    parsed_spec = EstimateSpec.from_json(json.dumps(fields))
    checkpoint, corpus = _open(parsed_spec, commit, progress)

    from softh.estimator.pipeline import estimate_model
    from softh.models import hidden_states
    from softh.models.cache import open_cache, remove_orphans
    from softh.spec import identity
    from softh.store import write

    data = Path(options.get("data") or settings.data())
    estimate_id = identity(parsed_spec.canonical(), checkpoint.digest, corpus.digest)
    if not _stored_since(data, estimate_id, options.get("submitted")):
        progress("loading", 0, 1)
        model = hidden_states.load_model(checkpoint, parsed_spec.dtype, options.get("device", "auto"))
        remove_orphans(settings.cache())
        with open_cache(settings.cache()) as cache:
            partial = PartialResult(progress)
            result = estimate_model(
                parsed_spec, checkpoint, model, corpus, cache=cache, progress=partial, on_partial=partial.keep
            )
        write.save(result.record(), data)
    return estimate_id


class PartialResult:
    """The progress of an estimate, which tells what its layers show so far."""

    def __init__(self, progress: Progress) -> None:
        self.progress, self.sentence = progress, ""

    def keep(self, sentence: str) -> None:
        """Tell a sentence with every step from here on."""
        self.sentence = sentence

    def __call__(self, phase: str, done: int, total: int) -> None:
        """Report a step."""
        self.progress(phase, done, total, self.sentence)


def run_preference(spec: str, options: Options, progress: Progress) -> str:
    """Probe a checkpoint with preference pairs and store the probe."""
    parsed_spec = PreferenceSpec.from_json(spec)
    from softh.checkpoints import resolve
    from softh.models import hidden_states
    from softh.preference import pairs
    from softh.preference.probe import estimate_model
    from softh.spec import identity
    from softh.store import write

    data = Path(options.get("data") or settings.data())
    progress("model", 0, 1)
    if untrusted({"model": parsed_spec.model}):
        _confine()
        checkpoint = resolve.resolve(parsed_spec.model, parsed_spec.revision)
    else:
        checkpoint = resolve.resolve(parsed_spec.model, parsed_spec.revision)  # may need the network
        if untrusted(json.loads(spec)):
            _confine()
    progress("pairs", 0, 1)
    sample = pairs.load(parsed_spec.pairs, parsed_spec.limit, parsed_spec.seed)
    estimate_id = identity(parsed_spec.canonical(), checkpoint.digest, sample.digest)
    if not _stored_since(data, estimate_id, options.get("submitted")):
        progress("loading", 0, 1)
        model = hidden_states.load_model(checkpoint, parsed_spec.dtype, options.get("device", "auto"))
        write.save(estimate_model(parsed_spec, checkpoint, model, sample, progress=progress).record(), data)
    return estimate_id


def run_sweep(spec: str, options: Options, progress: Progress) -> str:
    """Estimate what a recipe names and is not stored yet. Errors: InputError when some failed; a retry goes on."""
    from softh.sweeps import driver

    request = SweepRequest(**json.loads(spec))
    os.chdir(request.folder)
    names = {field.name for field in dataclasses.fields(driver.SweepOptions)}
    sweep_options = driver.SweepOptions(**{name: value for name, value in options.items() if name in names})
    data = Path(options.get("data") or settings.data())
    summary = driver.run_sweep(Path(request.recipe), sweep_options, data, progress)
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
    "estimate": JobKind(run_estimate, EstimateSpec, _estimate_title, _estimate_absolute),
    "preference": JobKind(run_preference, PreferenceSpec, _preference_title, _preference_absolute),
    "sweep": JobKind(
        run_sweep, SweepRequest, lambda spec, _: f"sweep of {Path(spec.recipe).stem}", _sweep_absolute, stores=False
    ),
}
"""Every kind of job by its name in the records."""


def _open(spec: EstimateSpec, commit: str | None, progress: Progress) -> "tuple[Checkpoint, Corpus]":
    """Checkpoint and corpus; what was uploaded is opened only after this process has given up the network.

    It is given up as early as possible: before torch starts threads, which keep the kernel from isolating a process.
    """
    uploaded_model, uploaded_text = spec.model.startswith(UPLOAD), texts.is_uploaded(spec.corpus)
    if uploaded_text and not uploaded_model:
        checkpoint = _resolve(spec, commit, progress)
        _confine()
        return checkpoint, _load_corpus(spec, progress)
    if uploaded_model and sources.find(spec.corpus).needs_network:
        corpus = _load_corpus(spec, progress)
        _confine()
        return _resolve(spec, commit, progress), corpus
    if uploaded_model:
        _confine()
    corpus = _load_corpus(spec, progress)
    return _resolve(spec, commit, progress), corpus


def _load_corpus(spec: EstimateSpec, progress: Progress) -> "Corpus":
    from softh.quantities import label_columns
    from softh.text import corpus

    progress("text", 0, 1)
    return corpus.load(spec.corpus, spec.documents, spec.seed, label_columns(spec.labels))


def _resolve(spec: EstimateSpec, commit: str | None, progress: Progress) -> "Checkpoint":
    """The checkpoint; of a pinned commit, under the name of the revision that it had when the job was submitted."""
    from softh.checkpoints import resolve
    from softh.checkpoints.revisions import exact_tokens, parse_revision, with_seed

    progress("model", 0, 1)
    if commit is None:
        return resolve.resolve(spec.model, spec.revision)
    revision = spec.revision or "main"
    parsed = parse_revision(revision)
    step, tokens = parsed.step if parsed else None, exact_tokens(spec.model, parsed)
    found = resolve.resolve(spec.model, commit)
    return replace(found, name=with_seed(found.name, parsed), revision=revision, step=step, tokens=tokens)


def _confine() -> None:
    """Give up the network and limit memory and processor time of this process, which runs one job, for good."""
    import resource  # POSIX only, like the worker

    on_gpu = bool(os.environ.get("CUDA_VISIBLE_DEVICES"))
    memory = None if on_gpu else int(_MEMORY * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    seconds = HOURS * 3600 * (os.cpu_count() or 1)
    sandbox.enter(sandbox.ProcessLimits(memory=memory, seconds=seconds))
    processes.set_parent_death_signal(os.getppid())  # the kernel clears it when the permissions of a process change
    # A minute before the kernel kills the job, the job reports why.
    signal.signal(signal.SIGXCPU, _out_of_time)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds - 60, seconds))


def _out_of_time(number: int, frame: FrameType | None) -> NoReturn:
    raise InputError(
        f"The estimate of an upload took more than {HOURS} hours of every core, the most it may: choose fewer "
        "documents, or ask the server's administrator to put the model in a folder."
    )


def _stored_since(data: Path, estimate_id: str, moment: float | None) -> bool:
    """Whether an estimate was stored after a moment, in seconds since 1970: by this job, before it was interrupted."""
    from softh.store import read

    stored = read.query(data, "SELECT created_at FROM estimates WHERE estimate_id = $id", id=estimate_id)["created_at"]
    return moment is not None and any(created.replace(tzinfo=UTC).timestamp() >= moment for created in stored)
