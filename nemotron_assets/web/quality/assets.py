"""Quality assets."""

ASSETS = []
