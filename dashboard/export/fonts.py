"""The font of the pages as CSS inside a file, which then looks the same where the font is not installed."""

import base64
import io
from functools import cache
from pathlib import Path

from dashboard.server.streamlit_internals import variable_font

_WEIGHTS = (400, 700)
# Latin, Greek, punctuation, superscripts, arrows, operators, geometric shapes: all that figures and notes use.
_CHARACTERS = ((0x20, 0x250), (0x370, 0x400), (0x2010, 0x20D0), (0x2190, 0x2300), (0x25A0, 0x2600))


def for_screens() -> str:
    """CSS that brings the font of all weights along."""
    font = variable_font()
    return _face("200 900", font.read_bytes()) if font else ""


@cache
def for_print() -> str:
    """CSS with one font a weight: Chromium writes a variable font into a PDF as Type 3, which journals refuse."""
    font = variable_font()
    return "".join(_face(str(weight), static_font(font, weight)) for weight in _WEIGHTS) if font else ""


def static_font(file: Path, weight: int, flavour: str | None = "woff2") -> bytes:
    """A variable font at one weight with the characters of our figures, as a web font or (None) as TrueType."""
    # Late: half a second that only a PDF needs.
    from fontTools.subset import Options, Subsetter
    from fontTools.ttLib import TTFont
    from fontTools.varLib.instancer import instantiateVariableFont

    font = TTFont(file)
    some = Subsetter(Options(layout_features=["kern", "mark", "mkmk", "ccmp"]))
    some.populate(unicodes=[code for first, end in _CHARACTERS for code in range(first, end)])
    some.subset(font)
    font = instantiateVariableFont(font, {"wght": weight}, inplace=True)
    buffer = io.BytesIO()
    font.flavor = flavour
    font.save(buffer)
    return buffer.getvalue()


def _face(weight: str, woff2: bytes) -> str:
    data = base64.b64encode(woff2).decode()
    return (
        f'@font-face{{font-family:"Source Sans";font-weight:{weight};'
        f'src:url("data:font/woff2;base64,{data}") format("woff2")}}'
    )
