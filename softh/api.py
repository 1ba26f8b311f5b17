"""The public function :func:`softh.estimate`: one estimate from model to table, in this process."""

from pathlib import Path
from typing import Any

from softh import access, settings
from softh.estimator import pipeline
from softh.estimator.entropies import ProgressCallback
from softh.estimator.pipeline import Estimate
from softh.models.cache import open_cache
from softh.spec import EstimateSpec
from softh.store import write


@access.as_owner()
def estimate(
    model: str,
    *,
    device: str = "auto",
    save: bool = True,
    data: Path | str | None = None,
    progress: ProgressCallback | None = None,
    **options: Any,
) -> Estimate:
    """Estimate the information plane of a model, and store the estimate so that the dashboard shows it.

    Hidden states are cached: another estimate of the same checkpoint, text and context runs no forward pass.

    Args:
        model: hub id, folder, or ``.gguf`` file.
        device: ``auto``, ``cpu`` or the name of a GPU.
        save: whether to store the estimate.
        data: folder of the store; by default SOFTH_DATA, else ``data``.
        progress: called with phase, steps done and steps in all.
        options: other fields of :class:`softh.EstimateSpec`, such as ``revision``, ``corpus`` or ``documents``.

    Returns:
        The estimate; its ``measures`` are rows in units of log n, with standard errors over draws and documents.

    Raises:
        InputError: for every mistake in the options or files, most of them before anything is computed.

    >>> estimate("folder/of/a/model", draws=0)
    Traceback (most recent call last):
    softh.errors.InputError: draws was 0; expected a whole number of at least 1: try --draws 1.
    """
    spec = EstimateSpec.from_options({"model": model, **options})
    folder = Path(data or settings.data())
    if save:
        write.check_writable(folder)
    with open_cache(settings.cache()) as cache:
        result = pipeline.estimate(spec, device=device, cache=cache, progress=progress)
    if save:
        write.save(result.record(), folder)
    return result
