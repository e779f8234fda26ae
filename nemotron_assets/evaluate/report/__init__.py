"""The report: one page of HTML with figures, tables and the lineage of the final model, made from the lake.

- `lake` asks the lake in SQL, and knows which tables are missing.
- `data`, `training`, `results`, `making` make the sections of the page.
- `drawing` draws figures as SVG, `page` puts everything into the template.
- `published` has the numbers that NVIDIA published, each with its source.
"""
