"""Traces of one pair of axes as series: data told from its decoration."""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from numbers import Real
from typing import Any

from dashboard.export.chart_model import Series


def series(traces: list[Any]) -> list[Series]:
    """Data first told from its decoration: bands become errors, coloured pieces of a path become its line."""
    data = [trace for trace in traces if trace.hoverinfo != "skip" and trace.fill in {None, "none"} and _known(trace)]
    rest = [trace for trace in traces if not any(trace is one for one in data) and _known(trace)]
    found: list[Series] = []
    for trace in data:
        points = set(zip(trace.x, trace.y, strict=True))
        pieces = [one for one in rest if one.fill in {None, "none"} and set(_pairs(one)) <= points]
        lines = [one for one in pieces if "lines" in (one.mode or "")]
        band = next((one for one in rest if one.fill == "toself" and _same_group(one, trace)), None)
        rest = [one for one in rest if one is not band and not any(one is piece for piece in pieces)]
        found.append(_of_trace(trace, lines, band))
    drawn = [trace for trace in rest if "lines" in (trace.mode or "lines") and trace.line.width != 0]
    guides = [*_edges(traces), *(_of_trace(trace, [], None) for trace in drawn)]
    return [*(replace(guide, guide=True, legend=False) for guide in guides), *found]


def _edges(traces: list[Any]) -> Iterator[Series]:
    """Both ends of every area between two lines, thin: an XY chart fills nothing."""
    for upper, lower in pairwise(traces):
        if lower.fill == "tonexty":
            line = (_stronger(lower.fillcolor or "#7F7F7F"), 1.0, "solid")
            for trace in (upper, lower):
                yield replace(_of_trace(trace, [], None), name="interval", line=line)


def _stronger(colour: str) -> str:
    """'rgba(95,107,122,0.15)' at half its strength: what fills an area is too weak for a line."""
    return re.sub(r"^rgba(.*),[^,]+\)$", r"rgba\1,0.5)", colour)


def _same_group(one: Any, other: Any) -> bool:
    return one.legendgroup is not None and (one.legendgroup, one.yaxis) == (other.legendgroup, other.yaxis)


def _known(trace: Any) -> bool:
    return trace.x is not None and any(True for _ in _pairs(trace))


def _pairs(trace: Any) -> Iterator[tuple[float, float]]:
    for x, y in zip(trace.x, trace.y, strict=True):
        if _number(x) and _number(y):
            yield x, y


def _number(value: Any) -> bool:
    return isinstance(value, Real) and math.isfinite(value)


def _of_trace(trace: Any, lines: list[Any], band: Any) -> Series:
    kept = [i for i, (x, y) in enumerate(zip(trace.x, trace.y, strict=True)) if _number(x) and _number(y)]
    modes = trace.mode or "lines+markers"
    own = trace.marker.color if "markers" in modes else None
    colours = _each(trace.line.color if own is None else own, len(trace.x))
    errors = _band(band, len(trace.x)) or _array(trace.error_y)
    colour = next((c for c in reversed(colours) if isinstance(c, str)), "#7F7F7F")
    line = None
    if "lines" in modes:
        line = (trace.line.color or colour, trace.line.width or 2.0, trace.line.dash or "solid")
    elif lines:
        line = (colour, lines[0].line.width or 2.0, lines[0].line.dash or "solid")
    symbol = trace.marker.symbol if "markers" in modes else None
    return Series(
        name=plain(trace.name),
        x=_taken(trace.x, kept),
        y=_taken(trace.y, kept),
        x_error=_taken(_array(trace.error_x), kept),
        y_error=_taken(errors, kept),
        x_below=_taken(_array(trace.error_x, "arrayminus"), kept),
        y_below=_taken(_array(trace.error_y, "arrayminus"), kept),
        colours=tuple(c if isinstance(c, str) else colour for c in _taken(colours, kept)),
        line=line,
        symbol=_each(symbol or "circle", 1)[-1] if "markers" in modes else None,
        sizes=_taken(_each(trace.marker.size or 6, len(trace.x)), kept) if "markers" in modes else (),
        ids=tuple(str(_first(trace.customdata[i])) for i in kept) if trace.customdata is not None else (),
        legend=trace.showlegend is not False and bool(trace.name),
    )


def _first(cell: Any) -> Any:
    return cell if isinstance(cell, str) else cell[0]


def _each(value: Any, size: int) -> tuple[Any, ...]:
    """One entry a point of what Plotly takes once for all or once for each."""
    return (value,) * size if value is None or isinstance(value, (str, int, float)) else tuple(value)


def _taken(values: Sequence[Any], kept: Iterable[int]) -> tuple[Any, ...]:
    return tuple(values[i] for i in kept) if len(values) else ()


def _array(error: Any, name: str = "array") -> tuple[float, ...]:
    """Lengths of error bars, 0 where there is none: a file of numbers has no word for what is missing."""
    values = error[name]
    lengths = tuple(value if _number(value) else 0.0 for value in (() if values is None else values))
    return lengths if any(lengths) else ()


def _band(band: Any, size: int) -> tuple[float, ...]:
    """Half the height of a closed band that goes there above the points and comes back below."""
    if band is None or len(band.y) != 2 * size:
        return ()
    return tuple((band.y[i] - band.y[-1 - i]) / 2 for i in range(size))


def plain(text: str | None) -> str:
    """Words without Plotly's tags; a new line becomes a comma."""
    lines = re.split(r"<br ?/?>", text or "")
    return ", ".join(re.sub(r"<[^>]+>", "", line).strip() for line in lines)
