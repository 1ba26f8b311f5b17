"""One estimate from model to table in this process: behind ``softh.estimate``."""

from pathlib import Path
from typing import Any

from softh import settings as paths
from softh.estimator.entropies import Progress
from softh.estimator.pipeline import Estimate
from softh.estimator.pipeline import estimate as compute
from softh.models.cache import open_cache
from softh.spec import EstimateSpec
from softh.store import write


def estimate(
    model: str,
    *,
    device: str = "auto",
    save: bool = True,
    data: Path | str | None = None,
    progress: Progress | None = None,
    **settings: Any,
) -> Estimate:
    """Estimate a model and store it, so that it is a point on the pages; hidden states are remembered in the cache.

    model: hub id, folder, or ``.gguf`` file.
    save: whether to store the estimate; data: where, SOFTH_DATA or data/ by default.
    progress: called with phase, steps done and steps in all.
    settings: fields of :class:`softh.spec.EstimateSpec`, such as ``revision``, ``corpus``, ``documents``, ``context``.
    Errors: InputError for whatever its author can mend, before anything is computed where that can be told.
    """
    spec = EstimateSpec.from_options({"model": model, **settings})
    folder = Path(data or paths.data())
    if save:
        write.check_writable(folder)
    with open_cache(paths.cache()) as cache:
        made = compute(spec, device=device, cache=cache, progress=progress)
    if save:
        write.save(made.record(), folder)
    return made
