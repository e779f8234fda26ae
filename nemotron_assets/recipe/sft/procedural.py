"""Questions that programs make and check."""

from __future__ import annotations

from nemotron_assets.recipe.section import Section


class Procedural(Section):
    """Questions that programs make and check."""
