"""Pictures of one figure made by different software, and how far they are apart."""

import subprocess
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
from fontTools.ttLib import TTFont
from PIL import Image, ImageFilter

from dashboard.export import fonts
from dashboard.server.streamlit_internals import variable_font

TOLERANCE = 0.3
"""Mean difference of two pictures as a share of that from a blank sheet, both softened by two pixels: renderers place
and smooth letters and edges differently. Another zoom or figure is above 0.9 (see the tests)."""


def difference(one: Image.Image, other: Image.Image) -> float:
    """How far a picture is from another: 0 is the same, 1 as far as a blank sheet is."""
    return _apart(one, other) / _apart(one, Image.new("RGB", one.size, "white"))


def _apart(one: Image.Image, other: Image.Image) -> float:
    other = other.convert("RGB").resize(one.size, Image.Resampling.LANCZOS)
    first, second = (
        np.asarray(picture.convert("RGB").filter(ImageFilter.GaussianBlur(2)), dtype=float) / 255
        for picture in (one, other)
    )
    return float(np.abs(first - second).mean())


def of_svg(file: Path, width: int, folder: Path) -> Image.Image:
    """An SVG as librsvg draws it, which knows fonts of the system only: the page's own is made one of them."""
    config = folder / "fonts.conf"
    for weight, name in ((400, "Regular"), (700, "Bold")):
        (folder / f"{name}.ttf").write_bytes(font(weight, name))
    config.write_text(f"<fontconfig><dir>{folder}</dir><cachedir>{folder}</cachedir></fontconfig>", encoding="utf-8")
    command = ["rsvg-convert", "--width", str(width), "--keep-aspect-ratio", str(file)]
    drawn = subprocess.run(command, capture_output=True, check=True, env={"FONTCONFIG_FILE": str(config)})
    return Image.open(BytesIO(drawn.stdout))


@cache
def font(weight: int, name: str) -> bytes:
    """The page's font as TrueType named as the figures name it."""
    found = variable_font()
    assert found is not None
    opened = TTFont(BytesIO(fonts.static_font(found, weight, None)))
    for number, text in ((1, "Source Sans"), (2, name), (4, f"Source Sans {name}"), (6, f"SourceSans-{name}")):
        opened["name"].setName(text, number, 3, 1, 0x409)
    opened["OS/2"].usWeightClass = weight
    held = BytesIO()
    opened.save(held)
    return held.getvalue()


def of_pdf(file: Path, page: int = 1) -> Image.Image:
    """One page of a PDF as poppler draws it, a pixel a CSS pixel."""
    command = ["pdftoppm", "-r", "96", "-png", "-f", str(page), "-l", str(page), str(file)]
    return Image.open(BytesIO(subprocess.run(command, capture_output=True, check=True).stdout))
