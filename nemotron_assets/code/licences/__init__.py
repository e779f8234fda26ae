"""Decide under which licence every code file is and whether the recipe accepts it, and keep the evidence.

The way of a repository: `excerpts` cuts its files, `library` scans the pieces, `survey` reads what holds for folders,
`case` gathers the facts about each file, and `rules` decides.
"""
