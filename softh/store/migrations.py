"""Tables of an older schema as today's: columns that were added later are computed for the older rows."""

import duckdb

from softh.store import schema

PARTS = {"models": "model", "checkpoints": "checkpoint", "estimates": "estimate", "measures": "measures"}
"""Table → the part of a run that holds its rows."""


def packed(version: int) -> str:
    """SQL for views in the schema ``packed`` of the tables of a database of a version, attached as ``stored``."""
    views = (f"CREATE VIEW packed.{table} AS {rows(table, version)}" for table in schema.names())
    return f"CREATE SCHEMA packed; {'; '.join(views)}"


def loaded(connection: duckdb.DuckDBPyConnection) -> None:
    """Fill in the later columns of older rows of the tables ``run`` and ``score``."""
    for added in schema.ADDED:
        connection.execute(f"{_update(added)} WHERE schema_version < {added.version}")


def rows(table: str, version: int) -> str:
    """SQL for the rows of a table, with one nested query for each column that its schema lacks."""
    rows = f"FROM stored.{table}"
    for added in schema.ADDED:
        if added.table == table and added.version > version:
            rows = f"SELECT *, ({added.value}) AS {added.column} FROM ({rows}) AS old"
    return rows


def _update(added: schema.Added) -> str:
    if added.table not in PARTS:
        return f"UPDATE score AS old SET {added.column} = ({added.value})"
    part = PARTS[added.table]
    rows = part if part == "measures" else f"[{part}]"
    filled = f"list_transform({rows}, lambda old: struct_update(old, {added.column} := ({added.value})))"
    return f"UPDATE run SET {part} = {filled}{'' if part == 'measures' else '[1]'}"
