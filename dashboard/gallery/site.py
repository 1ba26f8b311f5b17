"""Views as a static site: pages with findings, figures and numbers that need neither a server nor a network.

Next to the pages lie ``library.js`` (Plotly, the font and how a figure is drawn), ``site.js`` and ``site.css``, and in
``figures`` every figure twice: as data, and as a page of its own for an iframe. Scripts hold the data, and nothing is
fetched, so that the site opens from a folder as from a server.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape as text
from pathlib import Path
from string import Template
from urllib.parse import urlencode

import plotly.graph_objects as go
import polars as pl

from dashboard import escape
from dashboard.data import queries
from dashboard.data.presets import Preset, presets
from dashboard.export import fonts, html
from dashboard.export.formats import file_stem
from dashboard.figures.template import DARK, FONT, LIGHT
from dashboard.view import View
from dashboard.views import registry
from softh.errors import InputError, disk_errors
from softh.format import and_more

_HERE = Path(__file__).parent
_MARK = "softh-site.json"
"""Names of the files that a site has, by which a later one knows what it may replace."""
_PLACE = re.compile(r"(?:figures/|numbers/)?[\w-]+\.\w+")
"""Names of the files of a site."""
_MOST_ROWS = 150
"""Rows of a table on a page; the file beside it has all."""
_LONGEST = 160
"""Characters below a figure."""
_PAPER = "https://arxiv.org/abs/2604.07569"
_FALLBACK = (Preset("Models on the plane", "frontier", {}), Preset("Checkpoints on the plane", "trajectory", {}))
"""Where the tables have too little for any preset."""


@dataclass(frozen=True)
class Shown:
    """One view of the site."""

    preset: Preset
    slug: str
    """Name of its page without the ending."""
    light: View
    dark: View
    card: str
    """Key of the figure on its card: the first that no card before it has."""

    def figure_name(self, key: str) -> str:
        """Name of a figure's files without the ending."""
        return f"{self.slug}-{file_stem(key)}"


def files(dashboard: str = "") -> tuple[dict[str, bytes], list[str]]:
    """Path → content of every file of the site, and a sentence for each view that could not be built.

    dashboard: address of a dashboard on the same tables, which pages then link to.

    Raises:
        InputError: there are no estimates, or the address is none.
    """
    if dashboard and not re.fullmatch(r"https?://[^\s\"'<>]+", dashboard):
        raise InputError(f"The dashboard was {dashboard}; expected an address such as https://softh.lab.example.")
    if queries.estimates().is_empty():
        raise InputError("There are no estimates to show; expected some: make one with `python -m softh estimate`.")
    shown, left_out = _built(presets() or _FALLBACK)
    if not shown:
        raise InputError(f"No view could be built ({' '.join(left_out)}): choose other tables with --data.")
    pages = {f"{each.slug}.html": _page(each, shown, dashboard) for each in shown}
    made = {"index.html": _index(shown), "site.css": _css(), "site.js": _asset("site.js"), "library.js": _library()}
    made |= pages | {name: content for each in shown for name, content in _parts(each)}
    return {name: content.encode() for name, content in made.items()}, left_out


def write(folder: Path, content: Mapping[str, bytes]) -> None:
    """Write the files of a site into a new or empty folder, or over an earlier site.

    Raises:
        InputError: the folder holds something else, or cannot be written.
    """
    with disk_errors("The site could not be written", folder):
        folder.mkdir(parents=True, exist_ok=True)
        earlier = _earlier(folder)
        for name in earlier - set(content):
            (folder / name).unlink(missing_ok=True)
        listed = json.dumps(sorted(content), indent=1).encode()
        for name, each in {_MARK: listed, **content}.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(each)


def _earlier(folder: Path) -> set[str]:
    """Files of an earlier site in the folder. Errors: InputError where it holds something else."""
    if not any(folder.iterdir()):
        return set()
    try:
        names = json.loads((folder / _MARK).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        names = None
    # A name that leads elsewhere is of no site.
    if isinstance(names, list) and all(isinstance(name, str) and _PLACE.fullmatch(name) for name in names):
        return set(names)
    raise InputError(
        f"{folder} holds other files; expected a new or empty folder, or one of an earlier site: choose another."
    )


def _built(wanted: Sequence[Preset]) -> tuple[list[Shown], list[str]]:
    """The views that can be built, for both themes, and why others cannot."""
    shown, left_out, slugs = [], [], set()
    seen: list[str | None] = []
    for preset in wanted:
        query = {key: [value] if isinstance(value, str) else value for key, value in preset.parameters.items()}
        query = {"ablations": ["false"], **query}  # as on the page; a link that does not say so shows them
        slug = file_stem(preset.label)
        slug = slug if slug not in slugs | {"index"} else f"{slug}-{len(slugs)}"
        try:
            light, dark = (registry.build(preset.page, query, dark=dark)[0] for dark in (False, True))
        except InputError as error:
            left_out.append(f"{preset.label} is left out: {error}")
        else:
            slugs.add(slug)
            drawn = {key: figure.to_json() for key, figure in light.figures.items()}
            card = next((key for key, content in drawn.items() if content not in seen), next(iter(drawn)))
            seen.append(drawn[card])
            shown.append(Shown(preset, slug, light, dark, card))
    return shown, left_out


def _parts(shown: Shown) -> Iterator[tuple[str, str]]:
    """The files of the figures of a view, and of its numbers."""
    for key, figure in shown.light.figures.items():
        name = shown.figure_name(key)
        both = {"light": html.as_json(figure), "dark": html.as_json(shown.dark.figures[key])}
        yield f"figures/{name}.js", f"softhFigures[{_js(name)}] = {_js({**both, 'title': shown.light.title})}\n"
        yield f"figures/{name}.html", _filled("frame.html", name=name, alt=_alt(figure), title=text(shown.light.title))
    yield f"numbers/{shown.slug}.csv", escape.cells(shown.light.data).write_csv()


def _page(shown: Shown, every: Sequence[Shown], dashboard: str) -> str:
    view, place = shown.light, every.index(shown)
    notes = [view.caption, view.text, *view.notes]
    beside = (("Previous", place - 1), ("Next", place + 1))
    around = [(word, every[other]) for word, other in beside if 0 <= other < len(every)]
    return _filled(
        "view.html",
        title=text(shown.preset.label), kicker=text(shown.preset.label),
        finding=_prose(view.finding or view.title),
        published=f'<p class="published">{_prose(view.published)}</p>' if view.published else "",
        figures="".join(_figure(shown, key) for key in view.figures),
        scripts="".join(f'<script src="figures/{shown.figure_name(key)}.js"></script>' for key in view.figures),
        source=_prose(view.source),
        reading="".join(f"<p>{_prose(each)}</p>" for each in notes if each),
        table=_table(view.rows), rows=f"{view.rows.height:,}", csv=f"numbers/{shown.slug}.csv",
        live=_live(shown.preset, dashboard),
        around="".join(f'<a href="{other.slug}.html">{word}: {text(other.preset.label)}</a>' for word, other in around),
        paper=_PAPER,
    )  # fmt: skip


def _index(every: Sequence[Shown]) -> str:
    estimates = queries.estimates()
    told = f"{estimates.height:,} estimates of {estimates['model'].n_unique():,} models"
    today = datetime.now(UTC)
    corpora = estimates["corpus"].unique().sort().to_list()
    return _filled(
        "index.html",
        cards="".join(map(_card, every)),
        scripts="".join(f'<script src="figures/{each.figure_name(each.card)}.js"></script>' for each in every),
        told=f"{told} on {text(and_more(corpora, most=3))}; written {today.day} {today:%B %Y}.",
        paper=_PAPER,
    )


def _card(shown: Shown) -> str:
    return _filled(
        "card.html", href=f"{shown.slug}.html", label=text(shown.preset.label), finding=_prose(shown.light.finding),
        name=shown.figure_name(shown.card), alt=_alt(shown.light.figures[shown.card]),
    )  # fmt: skip


def _figure(shown: Shown, key: str) -> str:
    figure, name = shown.light.figures[key], shown.figure_name(key)
    height = int(figure.layout.height or 450)
    told = _told(figure)
    return _filled("figure.html", name=name, alt=_alt(figure), told=told, height=str(height), frame=str(height + 20))


def _live(preset: Preset, dashboard: str) -> str:
    """Where the same view can be changed: at an address, or by a command."""
    path = "" if preset.page == registry.PAGES[0].slug else preset.page
    query = urlencode(preset.parameters, doseq=True)
    if dashboard:
        link = f"{dashboard.rstrip('/')}/{path}?{query}"
        return f'<a href="{text(link)}">Open this view in the dashboard</a>, where every choice can be changed.'
    return (
        "In the dashboard every choice can be changed: run <code>python -m softh app</code>, then open "
        f"<code>{text(f'http://localhost:8501/{path}?{query}')}</code>"
    )


def _table(rows: pl.DataFrame) -> str:
    """The rows as they are read, bounded; every cell is text."""
    heads = "".join(f'<th scope="col">{text(name)}</th>' for name in rows.columns)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows.head(_MOST_ROWS).iter_rows())
    more = rows.height - _MOST_ROWS
    below = f"<p>{more:,} more rows are in the file.</p>" if more > 0 else ""
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>{below}"


def _cell(value: object) -> str:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    told = "" if value is None else f"{value:,}" if isinstance(value, int) and number else str(value)
    return f"<td{' class=number' if number else ''}>{text(escape.printable(told))}</td>"


def _prose(sentence: str) -> str:
    """A sentence of ours that names things of others: **bold** and `code` stay, all else is text."""
    safe = text(escape.printable(sentence))
    safe = re.sub(r" (?=%)|(?<=[±<>=]) | (?=[±<>=])", "\u00a0", safe)  # a number stays with its error and its unit
    return re.sub(r"`([^`\n]+)`", r"<code>\1</code>", re.sub(r"\*\*([^*\n]+)\*\*", r"<strong>\1</strong>", safe))


def _alt(figure: go.Figure) -> str:
    return text(escape.printable(str((figure.layout.meta or {}).get("alt", ""))))


def _told(figure: go.Figure) -> str:
    """What a figure shows, in a few words: its title where it has one, else how its alternative text begins."""
    meta = figure.layout.meta or {}
    words = str(meta.get("title") or re.split(r"[;:]|\. ", str(meta.get("alt", "")), maxsplit=1)[0])
    words = f"{words[:1].upper()}{words[1:]}"
    return _prose(words if len(words) <= _LONGEST else f"{words[:_LONGEST]} …")


def _js(value: object) -> str:
    """JSON that is JavaScript too and cannot end a script."""
    return json.dumps(value).replace("<", "\\u003c")


def _library() -> str:
    """Plotly and what draws a figure, as texts: pages run them, and a figure saved as one file takes them along."""
    parts = {
        "plotly": (html.plotly_folder() / "plotly.min.js").read_text(encoding="utf-8"),
        "names": html.names_script(), "play": html.play_script(), "face": fonts.for_screens(), "font": FONT,
        "file": html.template_text("figure.html"), "grounds": {"light": LIGHT.background, "dark": DARK.background},
    }  # fmt: skip
    return f"window.softhFigures = {{}}\nwindow.softhLibrary = {_js(parts)}\n"


def _css() -> str:
    inks = {
        f"{name}_{theme.name}": getattr(theme, name) for theme in (LIGHT, DARK)
        for name in ("background", "ink", "muted", "grid")
    }  # fmt: skip
    return Template(_asset("site.css")).substitute(font=FONT, **inks)


def _filled(asset: str, **values: str) -> str:
    """One of the HTML files beside this one, filled."""
    return Template(_asset(asset)).substitute(head=_asset("head.html").rstrip(), **values)


def _asset(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")
