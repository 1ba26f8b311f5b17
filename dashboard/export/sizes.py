"""Sizes to choose for a file: as on the screen, a slide, a column of a journal."""

from dataclasses import dataclass

INCH = 96
"""CSS pixels."""
SMALLEST_TEXT, USUAL_TEXT = 11, 14
"""Pixels, of dashboard/figures/template.py and the figures that use it."""


@dataclass(frozen=True)
class Size:
    """Pixels that a figure is drawn at, and how much larger or smaller it is then shown."""

    width: float
    height: float
    scale: float = 1.0

    @property
    def inches(self) -> tuple[float, float]:
        """Width and height as shown."""
        return self.width * self.scale / INCH, self.height * self.scale / INCH


@dataclass(frozen=True)
class Preset:
    """A size to choose; inches None is the size on the screen."""

    name: str
    inches: tuple[float, float] | None
    scale: float

    def size(self, seen: Size) -> Size:
        """What to draw for a figure that is seen at a size."""
        if self.inches is None:
            return seen
        width, height = self.inches
        return Size(width * INCH / self.scale, height * INCH / self.scale, self.scale)

    def words(self, seen: Size) -> str:
        """'85 × 85 mm (3.35 × 3.35 in), text 5.8–7.4 pt'."""
        size = self.size(seen)
        width, height = size.inches
        small, usual = (pixels * size.scale * 72 / INCH for pixels in (SMALLEST_TEXT, USUAL_TEXT))
        return (
            f"{25.4 * width:.0f} × {25.4 * height:.0f} mm ({width:.2f} × {height:.2f} in), "
            f"text {small:.1f}–{usual:.1f} pt"
        )


# Columns of a journal are about 85 and 180 mm wide, and text of less than 5 pt is refused; a slide is read from afar.
PRESETS = {
    preset.name: preset
    for preset in (
        Preset("As seen", None, 1.0),
        Preset("Slide 16:9", (40 / 3, 7.5), 1.6),
        Preset("Single column", (85 / 25.4, 85 / 25.4), 0.7),
        Preset("Double column", (180 / 25.4, 119 / 25.4), 0.77),
    )
}
