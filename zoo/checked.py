"""A table of a TOML file → a frozen dataclass, with every key and every value checked."""

import dataclasses
from typing import Any, Literal, TypeVar, get_args, get_origin

from softh.errors import InputError

Row = TypeVar("Row")

MAY_BE_ZERO = {"seed", "micro", "warmup", "cloze", "pairs", "books", "sft_epochs", "dpo_epochs", "rl_steps"}


def build(kind: type[Row], where: str, table: Any) -> Row:
    """A dataclass from a table; `where` names the table in errors.

    Raises:
        InputError: for an unknown or missing key, and for a value of another kind than its field.
    """
    fields = {item.name: item for item in dataclasses.fields(kind)}  # ty: ignore[invalid-argument-type]
    known(where, table, set(fields))
    for name, item in fields.items():
        if name in table:
            valid(where, name, table[name], item.type)
        elif item.default is dataclasses.MISSING:
            raise InputError(f"{where} lacks the key {name!r}: add it.")
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in table.items()})


def known(where: str, table: Any, allowed: set[str]) -> None:
    """Raise InputError unless it is a table that has no other keys."""
    expected = ", ".join(sorted(allowed))
    if not isinstance(table, dict):
        raise InputError(f"{where} was {table!r}; expected a table with keys {expected}: write one.")
    if unknown := sorted(set(table) - allowed):
        raise InputError(f"{where} has the unknown key {unknown[0]!r}; expected {expected}: remove it.")


def valid(where: str, name: str, value: Any, expected: Any) -> None:
    """Raise InputError unless the value is of the expected type and not below what makes sense."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    if get_origin(expected) is Literal:
        good, hint = value in get_args(expected), f"one of {', '.join(get_args(expected))}"
    elif expected is int:
        least = 0 if name in MAY_BE_ZERO else 1
        good, hint = whole and value >= least, f"a whole number of at least {least}"
    elif expected is float:
        good, hint = (whole or isinstance(value, float)) and value >= 0, "a number of at least 0"
    elif expected is str:
        good = isinstance(value, str) and value.replace("-", "").replace("_", "").isalnum()
        hint = "letters, digits, - and _"
    elif get_args(expected)[:1] == (str,):
        good = isinstance(value, list) and all(isinstance(item, str) for item in value)
        hint = "a list of names"
    else:
        good = isinstance(value, list) and all(isinstance(item, int) for item in value)
        hint = "a list of whole numbers"
    if not good:
        raise InputError(f"{name} of {where} was {value!r}; expected {hint}: correct it.")
