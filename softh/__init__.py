"""The information plane of language models: how much of their input and of their output hidden states represent."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from softh import plot
    from softh.accumulator import Accumulator
    from softh.api import estimate, estimate_by_source, save_accumulated
    from softh.callback import InformationPlane, InformationPlaneCallback
    from softh.errors import InputError
    from softh.estimator.frozen_sample import FrozenSample
    from softh.estimator.information import Information, entropy, information
    from softh.estimator.pipeline import Estimate
    from softh.estimator.series import SeriesSample
    from softh.spec import EstimateSpec, PreferenceSpec

__version__ = "0.1.0"
__all__ = [
    "Accumulator", "Estimate", "EstimateSpec", "FrozenSample", "Information", "InformationPlane",
    "InformationPlaneCallback", "InputError", "PreferenceSpec", "SeriesSample", "__version__", "entropy", "estimate",
    "estimate_by_source", "information", "plot", "save_accumulated",
]  # fmt: skip

_MODULES = {
    "Accumulator": "softh.accumulator",
    "Estimate": "softh.estimator.pipeline",
    "EstimateSpec": "softh.spec",
    "FrozenSample": "softh.estimator.frozen_sample",
    "Information": "softh.estimator.information",
    "InformationPlane": "softh.callback",
    "InformationPlaneCallback": "softh.callback",
    "InputError": "softh.errors",
    "PreferenceSpec": "softh.spec",
    "SeriesSample": "softh.estimator.series",
    "entropy": "softh.estimator.information",
    "estimate": "softh.api",
    "estimate_by_source": "softh.api",
    "information": "softh.estimator.information",
    "save_accumulated": "softh.api",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use: some bring torch, which takes seconds."""
    if name == "plot":
        return importlib.import_module("softh.plot")
    if name not in _MODULES:
        raise AttributeError(f"module 'softh' has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)
