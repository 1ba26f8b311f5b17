"""The fast path on a GPU: within its bound of float64, written whole, the same bits twice."""

from pathlib import Path

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


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
@pytest.mark.parametrize("centred", [False, True])
def test_every_gpu_gives_the_same_numbers(tmp_path: Path, centred: bool) -> None:
    from softh.estimator.pipeline import estimate
    from softh.spec import EstimateSpec
    from tests.tiny import llama, save_model, save_text

    model = save_model(tmp_path / "tiny", llama(hidden_size=64, num_attention_heads=4))
    spec = EstimateSpec(
        model=str(model), corpus=f"file:{save_text(tmp_path / 'text.jsonl')}", context=64, draws=9, center=centred
    )
    one, other = (estimate(spec, device=f"cuda:{number}").measures for number in (0, 1))
    assert one == other
