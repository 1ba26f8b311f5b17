"""Estimators of I(X;Z) side by side, where the truth is known: `python -m benchmarks.court`.

Labels with Zipf frequencies go through Gaussian channels, z = a vector of the label + noise. Two truths are known: the
information itself, from the densities, and what soft assignment keeps of it, from fresh occurrences of every label (as
in benchmarks/_channels.py). Soft entropy aims at the latter, all others at the former. For every channel and number of
positions the mean and the standard deviation over samples of each estimator, in nats, with its seconds, go into
benchmarks/results/court.json and dashboard/assets/court.json. nam_entropy is raw soft entropy with other defaults: with
equal directions and temperature it agrees to 1e-8 (benchmarks/independent.py). With `quick`: one small channel, nothing
is written.
"""

import json
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.special import digamma, logsumexp
from sklearn.neighbors import KDTree
from torch import nn

from benchmarks._channels import Channel, assign, directions
from benchmarks._synthetic import machine
from softh.estimator.information import of_assignments

TARGET = Path(__file__).parent / "results" / "court.json"
PAGE = Path(__file__).parents[1] / "dashboard" / "assets" / "court.json"
WIDTH, DRAWS, SAMPLES, POSITIONS = 32, 4, 5, (1_000, 4_000)
CHANNELS = (
    Channel("e8", "8 equally frequent labels", width=WIDTH, types=8, exponent=0.0, x_scale=1.0, y_scale=0.0),
    Channel("z100", "100 labels, Zipf", width=WIDTH, types=100, x_scale=1.0, y_scale=0.0),
    Channel("z100noisy", "100 labels, Zipf, much noise", width=WIDTH, types=100, x_scale=0.4, y_scale=0.0),
    Channel("z2000", "2,000 labels, Zipf", width=WIDTH, types=2_000, x_scale=1.0, y_scale=0.0),
    Channel("z2000none", "2,000 labels that Z does not know", width=WIDTH, types=2_000, x_scale=0.0, y_scale=0.0),
)
Array = np.ndarray[Any, np.dtype[Any]]
Estimator = Callable[[Array, Array, int], dict[str, float]]


def soft(states: Array, labels: Array, seed: int) -> dict[str, float]:
    """Raw, null-corrected and debiased soft entropy, mean over draws."""
    p = np.stack([assign(states, directions(WIDTH, draw)) for draw in range(DRAWS)], axis=1)
    found = of_assignments(p, labels, seed=seed)
    scale = math.log(p.shape[-1])
    values = {"soft entropy, raw": found.raw, "soft entropy, null-corrected": found.corrected}
    values |= {"soft entropy, debiased": found.debiased, "soft entropy, lower bound": found.lower}
    return {name: (math.nan if each.value is None else each.value * scale) for name, each in values.items()}


def binned(states: Array, labels: Array, seed: int) -> dict[str, float]:
    """Plug-in information of the label and the nearest reference direction, without and with Miller's correction."""
    plain, corrected = [], []
    for draw in range(DRAWS):
        place = (states @ directions(WIDTH, draw).T).argmax(1)
        joint = np.zeros((labels.max() + 1, place.max() + 1))
        np.add.at(joint, (labels, place), 1)
        entropies = [(_entropy(each), np.count_nonzero(each)) for each in (joint.sum(1), joint.sum(0), joint.ravel())]
        (h_x, n_x), (h_z, n_z), (h_xz, n_xz) = entropies
        plain.append(h_x + h_z - h_xz)
        corrected.append(plain[-1] + (n_x + n_z - n_xz - 1) / (2 * len(labels)))
    return {"binned": float(np.mean(plain)), "binned, Miller-Madow": float(np.mean(corrected))}


def nearest(states: Array, labels: Array, seed: int, k: int = 3) -> dict[str, float]:
    """Ross (2014), as scikit-learn has it for one feature: labels seen once are left out."""
    counts = np.bincount(labels)
    kept = counts[labels] > 1
    states, labels = states[kept], labels[kept]
    radius, used = np.empty(len(labels)), np.empty(len(labels))
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        used[rows] = min(k, len(rows) - 1)
        radius[rows] = KDTree(states[rows]).query(states[rows], int(used[rows[0]]) + 1)[0][:, -1]
    within = np.bincount(labels)[labels]
    many = KDTree(states).query_radius(states, np.nextafter(radius, 0), count_only=True)
    value = digamma(len(labels)) + digamma(used).mean() - digamma(within).mean() - digamma(np.maximum(many, 1)).mean()
    return {"nearest neighbours (Ross 2014)": max(0.0, float(value))}


def infonce(states: Array, labels: Array, seed: int) -> dict[str, float]:
    """InfoNCE (van den Oord 2018), a lower bound of at most log 256; learned on half, asked on the rest."""
    critic = _critic(labels.max() + 1, seed)

    def bound(z: torch.Tensor, x: torch.Tensor, prior: torch.Tensor) -> torch.Tensor:
        scores = critic[0](z) @ critic[1](x).T
        return math.log(len(x)) + (scores.diagonal() - torch.logsumexp(scores, 1)).mean()

    return {"InfoNCE": _learned(critic, bound, states, labels, seed)}


def classifier(states: Array, labels: Array, seed: int) -> dict[str, float]:
    """H(X) less the cross-entropy of a classifier of the label, a lower bound; learned on half, asked on the rest."""
    critic = _critic(labels.max() + 1, seed)

    def bound(z: torch.Tensor, x: torch.Tensor, prior: torch.Tensor) -> torch.Tensor:
        scores = critic[0](z) @ critic[1].weight.T + prior
        return -nn.functional.cross_entropy(scores, x)

    return {"H(X) - cross-entropy": _entropy(np.bincount(labels)) + _learned(critic, bound, states, labels, seed)}


def _critic(types: int, seed: int) -> nn.ModuleList:
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Linear(WIDTH, 64), nn.ReLU(), nn.Linear(64, 32))
    table = nn.Embedding(types, 32)
    nn.init.normal_(table.weight, std=0.1)
    return nn.ModuleList([network, table])


def _learned(
    critic: nn.ModuleList, bound: Callable[..., torch.Tensor], states: Array, labels: Array, seed: int
) -> float:
    """The bound on the second half of the positions, in batches of 256, at the best step of a held-out eighth."""
    z, x = torch.tensor(states, dtype=torch.float32), torch.tensor(labels)
    z = z / z.std()
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
    learn, check, asked = order[: 3 * len(x) // 8], order[3 * len(x) // 8 : len(x) // 2], order[len(x) // 2 :]
    seen = torch.bincount(x[learn], minlength=int(x.max()) + 1)
    prior = torch.log((seen + 0.5) / (seen + 0.5).sum())
    optimiser = torch.optim.AdamW(critic.parameters(), 3e-3, weight_decay=1e-2)
    generator = torch.Generator().manual_seed(seed)
    best, value = -math.inf, 0.0
    for step in range(400):
        rows = learn[torch.randint(len(learn), (256,), generator=generator)]
        loss = -bound(z[rows], x[rows], prior)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if step % 20 == 19:
            with torch.no_grad():
                now = float(torch.stack([bound(z[some], x[some], prior) for some in check.split(256)]).mean())
                if now > best:
                    whole = [some for some in asked.split(256) if len(some) == min(256, len(asked))]
                    parts = [bound(z[some], x[some], prior) for some in whole]
                    best, value = now, float(torch.stack(parts).mean())
    return value


def _entropy(counts: Array) -> float:
    share = counts[counts > 0] / counts.sum()
    return float(-(share * np.log(share)).sum())


def information(channel: Channel, draws: int = 20_000) -> float:
    """I(X;Z) in nats by its densities: the mean of log p(z | x) / p(z) over fresh positions."""
    rng = np.random.default_rng(9)
    share = np.diff(np.r_[0, channel.cumulated["x"]])
    sigma, total = channel.noise / math.sqrt(channel.width), 0.0
    for _ in range(draws // 2_000):
        x = rng.choice(len(share), 2_000, p=share / share.sum())
        z = channel.x_vectors[x] + sigma * rng.standard_normal((2_000, channel.width))
        squares = (z**2).sum(1)[:, None] + (channel.x_vectors**2).sum(1) - 2 * z @ channel.x_vectors.T
        logs = -squares / (2 * sigma**2)
        total += float((logs[np.arange(2_000), x] - logsumexp(logs + np.log(share), axis=1)).sum())
    return total / (draws // 2_000 * 2_000)


ESTIMATORS: tuple[Estimator, ...] = (soft, binned, nearest, infonce, classifier)


def one(channel: Channel, positions: tuple[int, ...], samples: int) -> list[dict[str, Any]]:
    """Rows of a channel, one an estimator and number of positions."""
    truth = information(channel)
    of_soft = float(np.mean([
        channel.truth(directions(WIDTH, draw), draw, labels=400, occurrences=400, positions=100_000).x
        for draw in range(DRAWS)
    ]))  # fmt: skip
    rows = []
    for count in positions:
        values: dict[str, list[float]] = {}
        seconds: dict[str, float] = {}
        for seed in range(samples):
            sample = channel.sample(count, seed)
            labels = np.unique(sample.x, return_inverse=True)[1].reshape(-1)
            for estimator in ESTIMATORS:
                began = time.perf_counter()
                found = estimator(sample.states.astype(np.float64), labels, seed)
                for name, value in found.items():
                    values.setdefault(name, []).append(value)
                    seconds[name] = time.perf_counter() - began
        for name, each in values.items():
            row = {
                "channel": channel.about, "positions": count, "estimator": name, "truth": truth, "soft truth": of_soft,
                "aims at": "soft truth" if name.startswith("soft") else "truth",
                "mean": float(np.mean(each)), "sd": float(np.std(each, ddof=1)) if samples > 1 else None,
                "seconds": seconds[name],
            }  # fmt: skip
            rows.append(row)
            print(f"{channel.about[:34]:<34} {count:>6} {name:<30} {row['mean']:7.3f} truth {row[row['aims at']]:.3f}")
    return rows


def main() -> None:
    """Every channel, then the files."""
    torch.set_num_threads(1)
    if "quick" in sys.argv:
        one(CHANNELS[1], (500,), 1)
        return
    rows = [row for channel in CHANNELS for row in one(channel, POSITIONS, SAMPLES)]
    about = {"width": WIDTH, "bins": 100, "draws": DRAWS, "samples": SAMPLES, "machine": machine("cpu")}
    text = json.dumps({"about": about, "rows": rows}, indent=1) + "\n"
    TARGET.write_text(text, encoding="utf-8")
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
