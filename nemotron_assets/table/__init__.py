"""Declares tables (`schema`, `columns`), names their rows (`ids`), describes what assets return (`parts`), quotes SQL
(`quoting`), and turns a function into the Dagster asset that writes a table (`asset`). Only `asset` loads Dagster and
the recipe.
"""
