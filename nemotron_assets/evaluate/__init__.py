"""Evaluate: benchmark items as a table, and the scores of every model version on them and on held-out documents."""

from nemotron_assets.evaluate.assets import ASSETS
from nemotron_assets.evaluate.checks import CHECKS

__all__ = ["ASSETS", "CHECKS"]
