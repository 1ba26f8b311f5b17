"""The module of figures: what is cut away, what stays, and that no figure needs what is gone."""

import re
from pathlib import Path

import pytest
from plotly import graph_objects
from plotly.basedatatypes import BaseTraceType
from streamlit import file_util

from dashboard.server.plotly_bundle import lean

ROOT = Path(__file__).parent.parent
KINDS = [f"kind{number}" for number in range(9)]
BUNDLE = "".join(
    [
        "a=()=>{if(x.current=!1,S.current===null){S.current={data:t,layout:n,config:r}}};",
        'core=_({"src/core.js"(e,t){shared(),t.exports={one:"}}),"}}}),',
        'shared=_({"src/shared.js"(e,t){t.exports="common"}}),',
        'heat=_({"lib/heatmap.js"(e,t){warm(),t.exports="heat"}}),warm=_({"src/warm.js"(e,t){t.exports="warm"}}),',
        *(f'{kind}=_({{"src/{kind}.js"(e,t){{shared(),rare(),t.exports="{kind}"}}}}),' for kind in KINDS),
        'rare=_({"src/rare.js"(e,t){t.exports="rare"}}),out={};v(out,{two:()=>two});var two,',
        'esm=g({"src/esm.ts"(){two="esm"}}),',
        'every=_({"lib/every.js"(e,t){var n=core();n.register([',
        ",".join(f"{kind}()" for kind in [*KINDS, "heat"]),
        "]),t.exports=n}});",
        'return _({"lib/index.js"(e,t){t.exports=every()}})()',
    ]
)
"""A module as the bundler writes it: the list at its end registers the kinds of traces."""


@pytest.fixture(scope="module")
def installed() -> str:
    """The module as Streamlit ships it."""
    [path] = (Path(file_util.get_static_dir()) / "static" / "js").glob("PlotlyChart.*.js")
    return path.read_text(encoding="utf-8")


def test_kinds_of_traces_are_cut_with_whatever_only_they_call() -> None:
    left = lean(BUNDLE)
    assert "n.register([heat()])" in left
    assert '"src/kind3.js"(e,t){}})' in left
    assert '"src/rare.js"(e,t){}}),out={};' in left


def test_what_the_core_calls_stays_as_it_is() -> None:
    for kept in (
        't.exports={one:"}}),"}',
        't.exports="common"',
        "var n=core();",
        "var two,",
        "t.exports=every()",
        't.exports="heat"',
        't.exports="warm"',
    ):
        assert kept in lean(BUNDLE)


def test_a_figure_is_drawn_once_its_width_is_known() -> None:
    assert "()=>{if(n.width===void 0)return;if(x.current=!1," in lean(BUNDLE)


def test_a_module_of_another_make_stays_as_it_is() -> None:
    for script in ("", "export const figure = () => 1", 'a=_({"b.js"(e){}}),c=_({"d.js"(e){}});a(),c()'):
        assert lean(script) == script


def test_every_part_fits_the_installed_streamlit(installed: str) -> None:
    left = lean(installed)
    assert len(left) < 0.35 * len(installed)
    kept = re.findall(r"\.register\(\[([\w$]+)\(\)\]\)", left)
    assert len(kept) == 1
    assert re.search(rf'\b{re.escape(kept[0])}=[\w$]+\(\{{"lib/heatmap\.js"\(\w+,\w+\)\{{[^}}]', left)
    assert len(re.findall(r"if\(\w\.width===void 0\)return;if\(\w\.current=!1", left)) == 1
    assert left.endswith(installed[-2000:])


def test_every_figure_is_made_of_kinds_that_are_left() -> None:
    every = {name.lower() for name in dir(graph_objects) if _is_trace(getattr(graph_objects, name))}
    named = r"\bgo\.([A-Z]\w+)\(|\bfigure\.add_([a-z]\w+)\(|\"type\": \"(\w+)\""
    made = {
        name.lower()
        for path in (ROOT / "dashboard").rglob("*.py")
        for found in re.findall(named, path.read_text(encoding="utf-8"))
        for name in found
    }
    assert len(every) > 40
    assert made & every == {"scatter", "heatmap"}


def _is_trace(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseTraceType)
