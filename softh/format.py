"""Sizes, durations, numbers with errors and lists of names as sentences write them, the same everywhere."""

import math
from collections.abc import Sequence


def format_size(count: float) -> str:
    """Bytes in decimal units.

    Example:
        >>> format_size(1_230_000_000), format_size(4_560_000), format_size(700)
        ('1.2 GB', '4.6 MB', '0.7 kB')
    """
    for unit, name in ((1e9, "GB"), (1e6, "MB")):
        if count >= unit / 10:
            return f"{count / unit:,.1f} {name}"
    return f"{count / 1e3:.1f} kB"


def duration(seconds: float) -> str:
    """Seconds in the largest unit of which there are at least two.

    Example:
        >>> duration(45), duration(180), duration(5 * 3600), duration(4 * 86_400)
        ('45 s', '3 min', '5 h', '4 days')
    """
    for unit, name in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{max(seconds, 0):.0f} s"


def with_error(value: float | None, *errors: float | None) -> str:
    """A number with the root of the sum of squares of the errors that are known.

    Example:
        >>> with_error(0.2, 0.03, 0.04), with_error(0.2, None), with_error(None)
        ('0.2000 ± 0.0500', '0.2000', '—')
    """
    known = [error for error in errors if error is not None]
    if value is None:
        return "—"
    return f"{value:.4f} ± {math.hypot(*known):.4f}" if known else f"{value:.4f}"


def and_more(names: Sequence[str], most: int = 6, separator: str = ", ") -> str:
    """The first names, and how many more there are.

    Example:
        >>> and_more(["a", "b", "c", "d"], most=2)
        'a, b and 2 more'
    """
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return separator.join(names[:most]) + more
