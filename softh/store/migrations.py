"""Tables of an older schema as today's: a column that came later is worked out for the rows written before it."""

import duckdb

from softh.store import schema

PARTS = {"models": "model", "checkpoints": "checkpoint", "estimates": "estimate", "measures": "measures"}
"""Table → the part of a run that holds its rows."""


def packed(found: int) -> str:
    """Views of the tables of a database of schema `found`, attached as ``stored``; they are called ``packed``."""
    views = (f"CREATE VIEW packed.{table} AS {_rows(table, found)}" for table in schema.names())
    return f"CREATE SCHEMA packed; {'; '.join(views)}"


def loaded(connection: duckdb.DuckDBPyConnection) -> None:
    """Fill in the rows of the tables ``run`` and ``score``, which have today's columns and say their schema."""
    for added in schema.ADDED:
        connection.execute(f"{_update(added)} WHERE schema_version < {added.version}")


def _rows(table: str, found: int) -> str:
    """The rows of a table, by one query inside the other for each column that its schema lacks."""
    rows = f"FROM stored.{table}"
    for added in schema.ADDED:
        if added.table == table and added.version > found:
            rows = f"SELECT *, ({added.value}) AS {added.column} FROM ({rows}) AS old"
    return rows


def _update(added: schema.Added) -> str:
    if added.table not in PARTS:
        return f"UPDATE score AS old SET {added.column} = ({added.value})"
    part = PARTS[added.table]
    rows = part if part == "measures" else f"[{part}]"
    filled = f"list_transform({rows}, lambda old: struct_update(old, {added.column} := ({added.value})))"
    return f"UPDATE run SET {part} = {filled}{'' if part == 'measures' else '[1]'}"
