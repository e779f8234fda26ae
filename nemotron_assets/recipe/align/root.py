"""The section `align` of the recipe."""

from __future__ import annotations

from nemotron_assets.recipe.section import Section


class Align(Section):
    """The post-training (Nemotron Nano 2 §3)."""
