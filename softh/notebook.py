"""How results show themselves in notebooks: short tables of HTML in the notebook's own colours."""

from collections.abc import Sequence
from html import escape

_LONGEST, _MOST = 160, 40
"""Characters of a text, and rows of a table."""
_STYLE = "border-collapse:collapse;font-variant-numeric:tabular-nums"
_CELL = "padding:2px 12px 2px 0;text-align:left"


def table(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]], note: str = "") -> str:
    """A table with a title above and a note below; texts are text, and what is too much is cut and counted.

    >>> "<script>" in table("<script>", ["value"], [["1"]])
    False
    >>> table("many", ["value"], [[str(i)] for i in range(100)]).count("<tr>")
    42
    """
    shown = [*rows[:_MOST], *([[f"and {len(rows) - _MOST:,} more"]] if len(rows) > _MOST else [])]
    head = "".join(f'<th scope="col" style="{_CELL}">{_text(each)}</th>' for each in heads)
    body = "".join(f"<tr>{_row(row)}</tr>" for row in shown)
    below = f"<small>{_text(note)}</small>" if note else ""
    return (
        f'<div><strong>{_text(title)}</strong><table style="{_STYLE}"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table>{below}</div>"
    )


def _row(row: Sequence[str]) -> str:
    first, *others = row
    cells = "".join(f'<td style="{_CELL}">{_text(each)}</td>' for each in others)
    return f'<th scope="row" style="{_CELL};font-weight:normal">{_text(first)}</th>{cells}'


def _text(text: str) -> str:
    return escape(text if len(text) <= _LONGEST else f"{text[:_LONGEST]} …")
