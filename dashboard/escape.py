"""Text from elsewhere stays text: names, titles, notes and messages of others in Markdown, figures and tables.

Each language has one function; a text that needs none of it comes back as it is.
"""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
import polars as pl

from dashboard import plotly_internals

_BREAK = "\u2060"
"""A word joiner: invisible, of no width, and the end of what a program takes for a link, a symbol or a formula."""
_SPECIAL = re.compile(
    r"([\\`*\[\]<>~$&]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|:(?=[A-Za-z])|^[#+=|-]|(?<=^\d)[.)]|(?<=^\d\d)[.)])"
)
_AUTOMATIC = re.compile(r"(?i)(https?:|ftp:|www|mailto:|xmpp:)(?=[/.\w])|(?<=[\w.+-])(?=@[\w-])")
"""Where renderers of Markdown begin a link without being asked to, whatever is escaped."""
_SHORTCODE = re.compile(r":(?=[\w+/-]+:)")
""":smile:, :material/star: are symbols, whatever is escaped."""
_CODE = re.compile(r"((?<!`)`[^`\n]+`(?!`)|\*\*)")
_TAG = re.compile(
    r"</?(?:b|i|sub|sup|span)>|<br ?/?>|<extra></extra>|<span style='(?:font-size:\d+px;)?color:[#\w(),. ]+'>"
)
_USUAL = ("<br>", "<b>", "</b>")
"""Tags of hover texts: to count them is faster than any expression."""
_FOREIGN_TAG = re.compile(rf"(?!{_TAG.pattern}|(?<=<extra>)</extra>)<")
"""The sign that would begin markup which is none of our figures'; the empty box alone has two of them."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


def markdown(text: str) -> str:
    """Markdown that shows a text as it is, on one line: no link, image, symbol, formula or colour comes of it."""
    return _escaped(text).lstrip()


def _escaped(text: str) -> str:
    line = re.sub(r"\s+", " ", printable(text))
    return _SPECIAL.sub(r"\\\1", _SHORTCODE.sub(f":{_BREAK}", _AUTOMATIC.sub(rf"\g<0>{_BREAK}", line)))


def prose(text: str) -> str:
    """Markdown of a sentence of ours that names things of others: `code` and **bold** stay, all else is text."""
    paragraphs = printable(text).split("\n\n")
    return "\n\n".join(
        "".join(part if _CODE.fullmatch(part) else _escaped(part) for part in _CODE.split(paragraph)).strip()
        for paragraph in paragraphs
    )


def figure(drawn: go.Figure) -> go.Figure:
    """The figure whose texts hold no markup but that of our own figures: no link comes of a name.

    It is the same object where nothing had to be changed.
    """
    return go.Figure(_tagless(drawn.to_dict())) if _has_foreign_tag(plotly_internals.content(drawn)) else drawn


def cell(text: str) -> str:
    """The text as a cell that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def label(text: str) -> str:
    """The text as a label that no spreadsheet behind a chart takes for a formula; it looks the same."""
    clean = printable(text)
    return f"{_BREAK}{clean}" if clean.startswith(_FORMULA) else clean


def cells(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows whose texts, names of columns included, no spreadsheet takes for formulas."""
    formulas = [
        pl.when(pl.col(name).str.contains(r"^[=+\-@\t\r\n]")).then("'" + pl.col(name)).otherwise(name).alias(name)
        for name, kind in rows.schema.items()
        if kind == pl.String
    ]
    return rows.with_columns(formulas).rename({name: cell(name) for name in rows.columns})


def printable(text: str) -> str:
    """The text without characters that no XML may hold."""
    return _UNPRINTABLE.sub("\ufffd", text)


def _tagless(value: Any) -> Any:
    if isinstance(value, str):
        return _neutral(value)
    if isinstance(value, dict):
        # The alternative text is no markup; what else is in meta, scripts of ours write into figures.
        return {key: part if key == "alt" else _tagless(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_tagless(part) for part in value]
    if isinstance(value, np.ndarray) and value.dtype.kind in "OU":
        return [_tagless(part) for part in value.tolist()]
    return value


def _has_foreign_tag(value: Any) -> bool:
    # Figures are mostly numbers and short texts: what can be said of these at once is asked first.
    if value is None or isinstance(value, float | int):
        return False
    if isinstance(value, str):
        plain = value.isprintable() or _UNPRINTABLE.search(value) is None
        signs = value.count("<")
        return not plain or (signs != sum(map(value.count, _USUAL)) and _FOREIGN_TAG.search(value) is not None)
    if isinstance(value, dict):
        return any(map(_has_foreign_tag, value.values()))
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "OU" and any(map(_has_foreign_tag, value.tolist()))
    return isinstance(value, Sequence) and any(map(_has_foreign_tag, value))


def _neutral(text: str) -> str:
    """The text with every tag that is not of our figures made visible, of characters that an SVG may hold."""
    text = printable(text)
    parts, end = [], 0
    for found in _TAG.finditer(text):
        parts += [text[end : found.start()].replace("<", "&lt;"), found[0]]
        end = found.end()
    return "".join([*parts, text[end:].replace("<", "&lt;")])
