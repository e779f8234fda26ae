"""Asks a ready-made report of a lake."""

from __future__ import annotations

import polars as pl

from nemotron_assets.commands.sql import fetch, reports, set_parameters


def answer(warehouse, name: str, **parameters: str) -> pl.DataFrame:
    """The whole answer of a report, whose parameters are given as on the command line."""
    report = reports()[name]
    with warehouse.cursor() as connection:
        set_parameters(connection, report, parameters)
        result = fetch(connection, report.sql, None)
    return pl.DataFrame(result.rows, schema=result.columns, orient="row", infer_schema_length=None)
