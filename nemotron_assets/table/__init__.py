"""What a table is (`schema`, `columns`), how its rows are named (`ids`), how it is written (`parts`), where slowly made
rows wait to be written (`spill`), and how a function becomes the Dagster asset that writes it (`asset`).

Only `asset` loads Dagster and the recipe.
"""
