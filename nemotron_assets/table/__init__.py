"""Declares tables (`schema`, `columns`), names their rows (`ids`), describes what assets return (`parts`), keeps rows
on the disk until they are written (`spill`), quotes SQL (`quoting`), and turns a function into the Dagster asset that
writes a table (`asset`). Only `asset` loads Dagster and the recipe.
"""
