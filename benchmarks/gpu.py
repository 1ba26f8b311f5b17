"""The estimator on one GPU against the package, plain torch and the forward pass; what is measured says _gpu.py."""

import torch


def main() -> None:
    """Measure where there is a GPU; elsewhere say that there is none."""
    if not torch.cuda.is_available():
        print("No GPU here: nothing to measure.")
        return
    from benchmarks import _gpu  # Triton is there only where torch is built for a GPU

    _gpu.main()


if __name__ == "__main__":
    main()
