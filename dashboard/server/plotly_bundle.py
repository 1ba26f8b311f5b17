"""Streamlit's module of figures, less what no figure here needs: a third of its size, and every figure is drawn once.

Most of it is Plotly, bundled as a list of modules `name=_({"path"(e,t){…}})` of which each runs when `name()` is first
called. Where the list of kinds or the one to keep is not found, as it may be in another release, every module stays.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise

_KINDS = re.compile(r"(\.register\(\[)(?:[\w$]+\(\),?){9,}\]")
"""The kinds of traces but for `scatter`, which belongs to Plotly's core."""
_HEATMAP = re.compile(r'([\w$]+)=[\w$]+\(\{"lib/heatmap\.js"\(')
"""The only other one that figures here have; what is not registered is drawn as `scatter`, and nothing says so."""
_FIRST_DRAWING = re.compile(r"(\(\)=>\{)(if\(\w\.current=!1,\w\.current===null\)\{\w\.current=\{data:\w,layout:(\w),)")
"""Streamlit draws a figure hidden while it does not know how wide it is, and a second time once it does."""
_MODULE = re.compile(r'\(\{"[^"]+"\([^)]*\)\{')
_NAME = re.compile(r"([\w$]+)=[\w$]+$")
_EXPORTS = re.compile(r"\}\}\),([\w$]+)=\{\};\w\(\1,\{")
"""Between some modules lies what the later one exports."""
_CALL = re.compile(r"([\w$]+)\(\)")


def lean(script: str) -> str:
    """The module without kinds of traces, and without drawings, that nobody sees."""
    script = _FIRST_DRAWING.sub(r"\1if(\3.width===void 0)return;\2", script, count=1)
    heatmap = _HEATMAP.search(script)
    if heatmap is None or len(_KINDS.findall(script)) != 1:
        return script
    script = _KINDS.sub(lambda found: f"{found[1]}{heatmap[1]}()]", script)
    bodies = dict(_bodies(script))
    needed = _needed(script, bodies)
    return _without(script, [place for name, place in bodies.items() if name not in needed])


def _bodies(script: str) -> Iterator[tuple[str, tuple[int, int]]]:
    """Each module's name and where its body begins and ends, of those of which both are beyond doubt."""
    for module, after in pairwise(_MODULE.finditer(script)):
        name, following = (_NAME.search(script, max(found.start() - 9, 0), found.start()) for found in (module, after))
        if not (name and following):
            continue
        if script.endswith("}}),", module.end(), following.start()):
            yield name[1], (module.end(), following.start() - 4)
        elif exports := _EXPORTS.search(script, module.end(), following.start()):
            yield name[1], (module.end(), exports.start())


def _needed(script: str, bodies: Mapping[str, tuple[int, int]]) -> set[str]:
    """Modules that are called from outside of all of them, and those that these call, and so on."""
    needed: set[str] = set()
    wanted = set(_CALL.findall(_without(script, bodies.values()))) & bodies.keys()
    while wanted:
        needed |= wanted
        wanted = {called for name in wanted for called in _CALL.findall(script, *bodies[name])} & bodies.keys() - needed
    return needed


def _without(script: str, places: Iterable[tuple[int, int]]) -> str:
    ends = [(0, 0), *sorted(places), (len(script), len(script))]
    return "".join(script[end:begin] for (_, end), (begin, _) in pairwise(ends))
