"""The fast path on a GPU: within its bound of float64, written whole, the same bits twice."""

import pytest
import torch

pytestmark = pytest.mark.gpu


def test_every_fast_path_agrees_with_float64_on_fresh_inputs() -> None:
    assert torch.cuda.is_available(), "run on a machine with a GPU"
    from benchmarks import _gpu as gpu  # needs Triton

    gpu.correct()
    worst = gpu.RESULTS["correct"]
    assert max(error for name, error in worst.items() if name.endswith("float32")) < 2e-6
    assert max(worst.values()) < 1e-4
