"""How a finished model looks: its family as colour, its stage as marker, its parameters as size, and the legend."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from dashboard.finished import by_stage, stage_name
from dashboard.template import Look

STAGES = {"base": "circle", "sft": "square", "instruct": "pentagon", "dpo": "diamond", "unknown": "triangle-up"}
_OTHERS = ("star", "hexagon", "cross", "x")
"""Markers of stages that have none of their own."""
_VARIANTS = ("", "-open", "-dot", "-open-dot")
"""More families than colours: the second round is hollow, and so on."""
SMALLEST, LARGEST = 9.0, 21.0


def stage_symbol(stage: str | None) -> str:
    """Marker of a stage; the same on every figure."""
    name = stage_name(stage)
    return STAGES.get(name) or _OTHERS[sum(map(ord, name)) % len(_OTHERS)]


def family_style(family: str, families: Sequence[str], of: Look) -> tuple[str, str]:
    """Colour of a family, and what is added to its markers where there are more families than colours."""
    place = list(families).index(family)
    return of.colours[place % len(of.colours)], _VARIANTS[place // len(of.colours) % len(_VARIANTS)]


def sizes(parameters: Sequence[int]) -> Mapping[int, float]:
    """Diameter in pixels of every number of parameters, along their logarithm."""
    low, high = math.log(min(parameters)), math.log(max(parameters))
    width = high - low
    return {
        number: SMALLEST + (LARGEST - SMALLEST) * ((math.log(number) - low) / width if width else 0.4)
        for number in set(parameters)
    }


def legend(rows: Sequence[Mapping[str, Any]], families: Sequence[str], of: Look) -> Iterator[go.Scatter]:
    """What colours, markers and sizes mean; a click on a family hides it."""
    for family in sorted({row["family"] for row in rows}):
        colour, variant = family_style(family, families, of)
        yield _key(family, f"circle{variant}", colour, 11, rank=100, group=family)
    for stage in by_stage(list({stage_name(row["stage"]) for row in rows})):
        yield _key(stage, stage_symbol(stage), of.muted, 11, rank=500)
    if any(row["own"] for row in rows):
        yield _key("yours", "circle-open", of.ink, 13, rank=902)


def _key(name: str, symbol: str, colour: str, size: float, *, rank: int, group: str | None = None) -> go.Scatter:
    marker = {"symbol": symbol, "size": size, "color": colour, "line": {"width": 2, "color": colour}}
    return go.Scatter(
        x=[None], y=[None], mode="markers", name=name, legendgroup=group, legendrank=rank, marker=marker,
        hoverinfo="skip",
    )  # fmt: skip
