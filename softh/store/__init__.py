"""The tables: the only place that knows DuckDB."""
