"""Release assets."""

ASSETS = []
