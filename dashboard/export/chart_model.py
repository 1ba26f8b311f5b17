"""Charts as data, independent of Plotly: axes and series with numbers, errors and labels."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class ChartAxis:
    """One axis; a logarithmic one has its limits as values, not as exponents."""

    title: str
    limits: tuple[float, float] | None
    log: bool = False
    zero: float | None = None
    """Where a logarithmic axis draws zero."""
    ticks: tuple[float, float] | None = None
    """First and second of evenly spaced ticks."""
    names: tuple[tuple[float, str], ...] = ()
    """Places that have words in place of numbers."""
    reversed: bool = False
    """Whether the largest is at the left or at the bottom."""


@dataclass(frozen=True)
class ChartLabel:
    """Words at a point."""

    text: str
    side: str
    """left, right, above or below."""
    colour: str


@dataclass(frozen=True)
class ChartSeries:
    """Points in their order; what is no data (a bound, a ray, a fit) is a guide.

    Without points it is an entry of the legend, with one colour, symbol and size.
    """

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    x_error: tuple[float, ...] = ()
    y_error: tuple[float, ...] = ()
    x_below: tuple[float, ...] = ()
    """Error to the left where it differs from that to the right; y_below likewise."""
    y_below: tuple[float, ...] = ()
    colours: tuple[str, ...] = ()
    line: tuple[str, float, str] | None = None
    """Colour, width in pixels and dash of Plotly."""
    arrow: bool = False
    """Whether the line ends in a head."""
    symbols: tuple[str, ...] = ()
    """Marker of each point as Plotly names it; empty without markers."""
    sizes: tuple[float, ...] = ()
    rims: tuple[str, ...] = ()
    """Colour of each point's heavy rim, empty without one."""
    ids: tuple[str, ...] = ()
    legend: bool = False
    guide: bool = False
    across: str = ""
    """'x' or 'y', the axis that a guide runs along from end to end."""
    labels: dict[int, ChartLabel] = field(default_factory=dict)


@dataclass(frozen=True)
class Chart:
    """One pair of axes of a figure; its place in shares of the figure, from the bottom."""

    title: str
    place: tuple[float, float, float, float]
    """left, bottom, right, top."""
    x: ChartAxis
    y: ChartAxis
    series: list[ChartSeries]

    @property
    def data(self) -> list[ChartSeries]:
        """The series that hold data."""
        return [series for series in self.series if not series.guide]
