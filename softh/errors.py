"""Exceptions: the one whose message is written for the user, and one for headers of files."""

import re

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


class HeaderError(ValueError):
    """What is wrong with a file of weights, as the middle of a sentence."""
