"""Time series for models that are not of language: windows, quantised patches and the labels of every position.

A series is cut into patches, each of which becomes a symbol: its level in quantiles, its slope, its place in the
season, or whether something rare happens in it. X of order k are the last k symbols up to a position, Y the k symbols
that begin some patches later. From there on everything is as for text.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from softh.errors import InputError
from softh.estimator.labels import VARIABLES, ngram_ids
from softh.quantities import AHEAD, known_labels, of_series
from softh.text.corpus import Corpus

Values = NDArray[np.float64]
Symbols = NDArray[np.int64]
_ROBUST = 1.4826
"""A median absolute deviation times this is the standard deviation of Gaussian values."""


def value_bins(series: Mapping[str, Values], *, patch: int = 1, bins: int = 8) -> dict[str, Symbols]:
    """Level of every patch of every series, in quantiles of the series: its mean, 0 the lowest [patches].

    Args:
        series: values of each series by its name.
        patch: values a patch; what is left at the end of a series is not used.
        bins: number of quantiles.

    Raises:
        InputError: for a series with gaps, one that is constant, or one without a patch.

    >>> value_bins({"ramp": np.arange(8.0)}, patch=2, bins=2)["ramp"].tolist()
    [0, 0, 1, 1]
    """
    return {name: _quantiles(patches.mean(1), bins) for name, patches in _each(series, patch)}


def slope_bins(series: Mapping[str, Values], *, patch: int = 1, bins: int = 5) -> dict[str, Symbols]:
    """Rise of every patch over the one before, in quantiles of the series; the first has that of the second.

    Arguments and errors as for :func:`value_bins`.

    >>> slope_bins({"zigzag": np.array([0.0, 1, 0, 1, 0])}, bins=2)["zigzag"].tolist()
    [1, 1, 0, 1, 0]
    """
    return {name: _quantiles(_rise(patches.mean(1)), bins) for name, patches in _each(series, patch)}


def season_bins(series: Mapping[str, Values], period: int, *, patch: int = 1, bins: int = 8) -> dict[str, Symbols]:
    """Place in the season of the last value of every patch, in `bins` equal parts of `period` values.

    Arguments and errors otherwise as for :func:`value_bins`.

    >>> season_bins({"year": np.arange(5.0)}, period=4, bins=2)["year"].tolist()
    [0, 0, 1, 1, 0]
    """
    if period < 2:
        raise InputError(f"period was {period}; expected at least two values a season: correct it.")
    return {
        name: (np.arange(1, len(patches) + 1) * patch - 1) % period * bins // period
        for name, patches in _each(series, patch)
    }


def joint(*symbols: Mapping[str, Symbols]) -> dict[str, Symbols]:
    """Several symbols of the same patches as one, such as level and slope together.

    >>> joint({"a": np.array([0, 1])}, {"a": np.array([2, 2])})["a"].tolist()
    [2, 5]
    """
    most = [1 + max(int(each.max()) for each in kind.values()) for kind in symbols]
    return {
        name: np.ravel_multi_index([kind[name] for kind in symbols], tuple(most)).astype(np.int64)
        for name in symbols[0]
    }


def outliers(series: Mapping[str, Values], *, patch: int = 1, width: int = 25, far: float = 4.0) -> dict[str, Symbols]:
    """1 for patches with a value further from the median around it than `far` robust standard deviations, else 0.

    width: values around each, itself included. Arguments and errors otherwise as for :func:`value_bins`.

    >>> outliers({"spike": np.where(np.arange(40) == 20, 9.0, np.arange(40) % 3)})["spike"].nonzero()[0].tolist()
    [20]
    """
    found: dict[str, Symbols] = {}
    for name, patches in _each(series, patch):
        values = patches.reshape(-1)
        around = np.lib.stride_tricks.sliding_window_view(np.pad(values, width // 2, mode="reflect"), width)
        off = np.abs(values - np.median(around, axis=1)[: len(values)])
        found[name] = _any(off > far * _robust(off), patch)
    return found


def change_points(
    series: Mapping[str, Values], *, patch: int = 1, width: int = 20, far: float = 4.0
) -> dict[str, Symbols]:
    """1 for patches in which the level shifts, else 0: where medians of `width` values on both sides differ most.

    They differ by more than `far` robust standard deviations of such differences, and more than any within `width`.
    Arguments and errors otherwise as for :func:`value_bins`.

    >>> change_points({"step": np.arange(80) % 3 + 9.0 * (np.arange(80) >= 40)}, width=9)["step"].nonzero()[0].tolist()
    [40]
    """
    found: dict[str, Symbols] = {}
    for name, patches in _each(series, patch):
        values = patches.reshape(-1)
        marks = np.zeros(len(values))
        if len(values) > 2 * width:
            level = np.median(np.lib.stride_tricks.sliding_window_view(values, width), axis=1)
            shift = np.abs(level[width:] - level[:-width])  # at value `width` + its index
            around = np.lib.stride_tricks.sliding_window_view(np.pad(shift, width), 2 * width + 1).max(1)
            peak = (shift == around) & (shift > far * max(_robust(shift), 1e-12))
            peak[1:] &= ~peak[:-1]  # the first of equal ones
            for first in peak.nonzero()[0]:
                marks[first + _split_at(values[first : first + 2 * width], level[first], level[first + width])] = 1
        found[name] = _any(marks > 0, patch)
    return found


@dataclass(frozen=True, eq=False)
class SeriesSample:
    """Windows of time series and the labels of every position; for an accumulator and :func:`softh.save_accumulated`.

    A position is a patch: the hidden state that has read it and nothing of the next. Windows do not overlap and are the
    documents; folds of the jackknife are whole series where there are as many.

    Args:
        series: values of each series by its name, of equal sampling.
        symbols: one for every patch of every series, such as :func:`value_bins` gives, or your own.
        labels: what the symbols are: values, slopes, phases, patches, changes or outliers, the labels of series in
            :data:`softh.quantities.LABELS`.
        name: of the data, in the tables.
        note: its origin and licence, one sentence.
        patch: values a patch.
        context: patches a window.
        horizon: Y begins so many patches after a position; 1 is the next patch.
        orders: n-gram orders, from 1 to 4.

    Raises:
        InputError: for gaps, constant series, windows that are too long or too short, and symbols that do not fit.

    >>> series = {"sine": np.sin(np.arange(400) / 5), "cosine": np.cos(np.arange(400) / 7)}
    >>> symbols = value_bins(series, bins=4)
    >>> sample = SeriesSample(series, symbols, labels="values", name="waves", context=50, orders=(1, 2))
    >>> sample.windows.shape, len(sample.rows), sample.label_sets
    ((16, 50, 1), 752, ('input 1', 'input 2', 'output 1', 'output 2'))
    """

    series: Mapping[str, Values]
    symbols: Mapping[str, Symbols]
    labels: str = field(kw_only=True)
    name: str = field(kw_only=True)
    note: str = field(default="Licence of its owner.", kw_only=True)
    patch: int = field(default=1, kw_only=True)
    context: int = field(default=64, kw_only=True)
    horizon: int = field(default=1, kw_only=True)
    orders: Sequence[int] = field(default=(1,), kw_only=True)

    def __post_init__(self) -> None:
        if not of_series(self.labels) or AHEAD in self.labels:
            raise InputError(
                f"labels was {self.labels!r}; expected values, slopes, phases, patches, changes or outliers: choose "
                "what the symbols are."
            )
        if self.horizon < 1:
            raise InputError(f"horizon was {self.horizon}; expected at least 1, the next patch: correct it.")
        object.__setattr__(self, "orders", tuple(sorted(set(self.orders))))
        if not self.orders or not set(self.orders) <= {1, 2, 3, 4}:
            raise InputError(f"orders was {self.orders}; expected numbers from 1 to 4: correct them.")
        patches = dict(_each(self.series, self.patch))
        if set(patches) != set(self.symbols):
            raise InputError("symbols and series have different names; expected one array for each series: pass both.")
        for name, cut in patches.items():
            if len(self.symbols[name]) != len(cut):
                raise InputError(
                    f"Series {name} has {len(cut):,} patches of {self.patch} values and {len(self.symbols[name]):,} "
                    "symbols; expected one a patch: make both with the same patch."
                )
        if self.context <= self._margin:
            raise InputError(
                f"context was {self.context} patches; orders up to {max(self.orders)} at a horizon of {self.horizon} "
                f"need more than {self._margin}: choose a longer window."
            )
        if not self._cut:
            raise InputError(
                f"No series of {self.name} has {self.context} patches of {self.patch} values; expected at least one "
                "window: choose a smaller context, or longer series."
            )
        kept = np.concatenate([each for _, _, each in self._cut])
        if len(np.unique(kept)) < 2:
            raise InputError(
                f"All patches of {self.name} have one symbol; expected at least two: choose other bins or events."
            )

    @property
    def _margin(self) -> int:
        """Patches of a window that are no positions: labels would reach beyond it."""
        return 2 * max(self.orders) - 2 + self.horizon

    @cached_property
    def _cut(self) -> list[tuple[str, int, Symbols]]:
        """Name, first patch and symbols of every window."""
        return [
            (name, first, np.asarray(self.symbols[name][first : first + self.context], dtype=np.int64))
            for name, patches in _each(self.series, self.patch)
            for first in range(0, len(patches) - self.context + 1, self.context)
        ]

    @cached_property
    def windows(self) -> Values:
        """Values [windows, context, patch]."""
        patches = dict(_each(self.series, self.patch))
        return np.stack([patches[name][first : first + self.context] for name, first, _ in self._cut])

    @cached_property
    def position(self) -> Symbols:
        """[positions] patch of each within its window."""
        highest = max(self.orders)
        one = np.arange(highest - 1, self.context - highest - self.horizon + 1)
        return np.tile(one, len(self._cut))

    @cached_property
    def document(self) -> Symbols:
        """[positions] window of each."""
        return np.repeat(np.arange(len(self)), len(self.position) // len(self))

    @property
    def rows(self) -> Symbols:
        """[positions] row of each in hidden states [windows · context, width]."""
        return self.document * self.context + self.position

    @cached_property
    def ends(self) -> list[tuple[str, int]]:
        """Series of each position, and its last value: a model that reads other windows has read up to that."""
        return [
            (self._cut[window][0], (self._cut[window][1] + int(place) + 1) * self.patch - 1)
            for window, place in zip(self.document, self.position, strict=True)
        ]

    @cached_property
    def label_values(self) -> dict[str, Symbols]:
        """Labels of every position, by the name of the label set."""
        codes = ngram_ids([symbols for _, _, symbols in self._cut], max(self.orders))
        later = {"input": 0, "output": self.horizon - 1}
        found = {}
        for variable in VARIABLES:
            for order in self.orders:
                at = self.rows + (order + later[variable] if variable == "output" else 0)
                found[f"{variable} {order}"] = np.unique(codes[order - 1].numpy()[at], return_inverse=True)[1]
        return found

    @property
    def label_sets(self) -> tuple[str, ...]:
        """Names of the label sets, such as ``input 1`` and ``output 1``."""
        return tuple(f"{variable} {order}" for variable in VARIABLES for order in self.orders)

    @property
    def about(self) -> dict[str, Any]:
        """What the tables say of it: corpus, labels, orders, context, vocabulary."""
        labels = self.labels if self.horizon == 1 else f"{self.labels}{AHEAD}{self.horizon}"
        assert known_labels(labels)
        kinds = 1 + max(int(symbols.max()) for _, _, symbols in self._cut)
        return {
            "corpus": self.name, "labels": labels, "orders": list(self.orders), "context": self.context,
            "vocabulary": kinds,
        }  # fmt: skip

    @cached_property
    def digest(self) -> str:
        """Identity of windows and labels: `sample` of an accumulator."""
        found = hashlib.sha256(repr((self.about, self.patch)).encode())
        for part in (self.windows, np.stack([symbols for _, _, symbols in self._cut])):
            found.update(np.ascontiguousarray(part).tobytes())
        return found.hexdigest()[:16]

    @cached_property
    def corpus(self) -> Corpus:
        """The windows as documents, each a part of its series."""
        return Corpus(self.name, (), self.digest, self.note, tuple(name for name, _, _ in self._cut))

    def __len__(self) -> int:
        """Windows."""
        return len(self._cut)


def _each(series: Mapping[str, Values], patch: int) -> list[tuple[str, Values]]:
    """Name and patches [patches, patch] of every series. Errors: InputError."""
    if patch < 1 or not series:
        raise InputError(
            f"{len(series)} series in patches of {patch} values; expected at least one of each: pass some."
        )
    found = []
    for name, given in series.items():
        values = np.asarray(given, dtype=np.float64)
        if values.ndim != 1:
            raise InputError(
                f"Series {name} has shape {values.shape}; expected one value a time: pass each channel alone."
            )
        if len(missing := np.flatnonzero(~np.isfinite(values))):
            raise InputError(
                f"Series {name} has {len(missing):,} gaps, the first at value {missing[0]:,}; expected a number at "
                "every time: fill them, or pass the parts between them as series of their own."
            )
        if len(values) < patch or np.ptp(values) == 0:
            what = f"is {values[0]:g} throughout" if len(values) >= patch else f"has {len(values)} values"
            raise InputError(
                f"Series {name} {what}; expected values that vary, at least a patch of {patch}: leave it out."
            )
        found.append((name, values[: len(values) // patch * patch].reshape(-1, patch)))
    return found


def _quantiles(values: Values, bins: int) -> Symbols:
    """Quantile of every value; equal values have one."""
    if bins < 2:
        raise InputError(f"bins was {bins}; expected at least two: correct it.")
    ends = np.quantile(values, np.arange(1, bins) / bins)
    return np.searchsorted(ends, values, side="right").astype(np.int64)


def _split_at(values: Values, before: float, after: float) -> int:
    """The first value of the second level, where values are nearest to one before it and to the other from it on."""
    nearer = np.abs(values - before) - np.abs(values - after)
    return int(np.concatenate([[0], np.cumsum(nearer)]).argmin())


def _any(marks: NDArray[np.bool_], patch: int) -> Symbols:
    """1 for patches of which a value is marked, else 0."""
    return np.asarray(marks.reshape(-1, patch).max(axis=1), dtype=np.int64)


def _rise(values: Values) -> Values:
    """Difference of every value from the one before; of the first, that of the second."""
    if len(values) < 2:
        return np.zeros_like(values)
    rise = np.diff(values)
    return np.concatenate([rise[:1], rise])


def _robust(off: Values) -> float:
    """Robust standard deviation of what is off by so much; of values that mostly are not, their mean."""
    return float(_ROBUST * np.median(off)) or float(np.mean(off))
