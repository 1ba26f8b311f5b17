"""What rows must fulfil before anybody reads them: conditions that follow from the tables and from nothing else.

A rule is an expression of SQL over the columns of one row that is true when the row breaks it, and a reason in words.
The columns, their types, NOT NULL and CHECK of schema.sql give all of them, so that a new column has its rules at once.
"""

import json
import re
from collections.abc import Iterator
from functools import cache

import duckdb
import polars as pl

from softh.quantities import CORRECTIONS, NGRAMS
from softh.store import schema

LONGEST_TEXT = 32_767
"""Characters of a text, as many as a cell of a spreadsheet takes."""
LARGEST = 1e30
"""No number is larger: sums of its squares are finite still."""


@cache
def of_table(table: str) -> tuple[tuple[str, str], ...]:
    """The rules of a table of the newest schema: expression and reason of each."""
    columns = schema.table(table)
    required = [(f"{_name(column)} IS NULL", f"it has no value for {column}") for column in columns.required]
    checks = [(f"NOT ({check})", f"it breaks the rule {check}") for check in schema.checks(table)]
    kinds = [rule for column, kind in columns.types.items() for rule in _of_type(column, kind)]
    words = [(f"correction NOT IN {CORRECTIONS}", "its correction is unknown")] if "correction" in columns.types else []
    return (*required, *kinds, *words, *checks)


def broken(table: str) -> str:
    """SQL expression over a row of a table: the reason why it is not taken, NULL for a row that is."""
    cases = (f"WHEN {expression} THEN {_literal(f'{reason} in {table}')}" for expression, reason in of_table(table))
    return f"CASE {' '.join(cases)} END"


def json_columns(table: str) -> list[str]:
    """Columns that the schema says hold JSON."""
    return [found[1] for check in schema.checks(table) if (found := re.fullmatch(r"json_valid\((\w+)\)", check))]


def json_defect(column: str, text: str) -> str | None:
    """Why a text is not what such a column holds: an object of single values and lists of them; None when it is."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        return f"its {column} is not JSON"
    if not isinstance(values, dict) or not all(_flat(value) for value in values.values()):
        return f"its {column} is not an object of single values"
    orders = values.get("orders", []) if column == "spec" else []
    known = isinstance(orders, list) and all(type(order) is int and order in NGRAMS for order in orders)
    return None if known else "its orders are unknown"


def rows_with_wrong_json(connection: duckdb.DuckDBPyConnection, table: str, rows: str) -> Iterator[tuple[str, str]]:
    """Key and reason of each of some rows, SQL with a column ``key`` and those of a table, whose JSON is wrong."""
    for column in json_columns(table):
        for text, keys in connection.execute(f"SELECT {column}, list(key) FROM ({rows}) GROUP BY ALL").fetchall():
            if text is not None and (reason := json_defect(column, text)):
                yield from ((key, reason) for key in keys)


def _of_type(column: str, kind: pl.DataType) -> Iterator[tuple[str, str]]:
    name = _name(column)
    if isinstance(kind, pl.List):
        yield f"list_bool_or(list_transform({name}, lambda x: {_not_a_number('x')}))", f"its {column} are not numbers"
    elif kind.is_float():
        yield _not_a_number(name), f"its {column} is not a finite number"
    elif kind == pl.String:
        yield f"length({name}) > {LONGEST_TEXT}", f"its {column} is longer than {LONGEST_TEXT:,} letters"


def _not_a_number(expression: str) -> str:
    # NaN is larger than every number in DuckDB.
    return f"abs({expression}) > {LARGEST}"


def _flat(value: object) -> bool:
    values = value if isinstance(value, list) else [value]
    return all(isinstance(each, str | int | float | bool | None) for each in values)


def _name(column: str) -> str:
    return f'"{column}"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
