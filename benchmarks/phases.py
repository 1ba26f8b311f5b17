"""How often the interval of a phase boundary holds the true one: ``python -m benchmarks.phases``, simulated curves."""

import numpy as np

from softh.analysis import phases
from softh.analysis.phases import Curve

STEPS = [0, 1, 2, 3, 4, 5, 6, 8, 11, 14, 19, 25, 32, 42, 55, 71, 93, 121, 158, 207, 270, 353, 460, 601, 784, 1024]
"""The checkpoints of the zoo."""
CURVES = 200
SLOPES = ((0.05, 0.05), (0.06, 0.01), (0.02, 0.06))
NOISES = (0.0005, 0.002, 0.006)


def kink(away: np.ndarray, rise: float, fall: float) -> np.ndarray:
    return -np.where(away < 0, -rise * away, fall * away)


def round_top(away: np.ndarray, rise: float, fall: float) -> np.ndarray:
    return -np.where(away < 0, rise, fall) * away**2 / (1 + np.abs(away))


def measured(true: np.ndarray, noise: float, rng: np.random.Generator) -> Curve:
    shared, own = rng.standard_normal((1, 16)), rng.standard_normal((true.size, 16))
    documents = rng.standard_normal((true.size, 1)) / 4
    draws = true[:, None] + 2 * noise * (shared + own + documents)
    return Curve(draws.mean(axis=1)[None], draws[None], np.full((1, true.size), noise / 2))


def main() -> None:
    place = phases.log_steps(STEPS)
    print(f"{CURVES} curves each; slopes a octave, standard error of a value; width and bias in octaves")
    print("| shape | rise | fall | error | covered | median width | bias |\n|---|---|---|---|---|---|---|")
    for shape in (kink, round_top):
        for rise, fall in SLOPES:
            for noise in NOISES:
                rng = np.random.default_rng(7)
                held, widths, off = [], [], []
                for top in rng.uniform(5.5, 7.5, CURVES):
                    found = phases.extreme(place, measured(0.1 + shape(place - top, rise, fall), noise, rng), "largest")
                    held.append(found is not None and found.low <= 2**top <= found.high)
                    if found:
                        widths.append(np.log2(found.high / found.low))
                        off.append(np.log2(found.step) - top)
                cells = (shape.__name__, rise, fall, noise, f"{np.mean(held):.3f}")
                print("|", " | ".join(map(str, cells)), f"| {np.median(widths):.2f} | {np.mean(off):+.2f} |")


if __name__ == "__main__":
    main()
