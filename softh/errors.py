"""Exceptions: the one whose message is written for the user, what turns others into it, and one for headers."""

import re
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


class InputError(ValueError):
    """What was received, what was expected and what to do, in one sentence.

    The command line prints it and exits with 2; a page shows it in place of a result. Bytes of a path that are not
    UTF-8 are escaped, and ends of lines and other signs that only control a screen are spaces, so that it can be shown
    anywhere.
    """

    def __init__(self, sentence: str) -> None:
        super().__init__(_CONTROL.sub(" ", sentence.encode(errors="backslashreplace").decode()))


def missing_extra(feature: str, package: str | None, extra: str) -> InputError:
    """The error for a package that comes with an extra of softh and is not installed.

    >>> print(missing_extra("The engine ray", "ray", "scale"))
    The engine ray needs the package ray, which is not installed: run `pip install "softh[scale]"`.
    """
    return InputError(
        f'{feature} needs the package {package}, which is not installed: run `pip install "softh[{extra}]"`.'
    )


@contextmanager
def disk_errors(failure: str, folder: Path, *others: type[Exception]) -> Generator[None]:
    """Turn errors of the disk, and others that a library raises for them, into an InputError with a remedy.

    >>> with disk_errors("The backup could not be written", Path("b")):  # doctest: +ELLIPSIS
    ...     raise OSError(28, "No space left on device")
    Traceback (most recent call last):
    softh.errors.InputError: The backup could not be written in b (No space left on device): free some space there, ...
    """
    try:
        yield
    except (OSError, *others) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"{failure} in {folder} ({reason}): free some space there, make it writable, or move away what is in the "
            "way."
        ) from error


class HeaderError(ValueError):
    """What is wrong with a file of weights, as the middle of a sentence."""
