"""Instructions with responses: mathematics, code, general, multilingual."""

from __future__ import annotations

from nemotron_assets.recipe.section import Section


class Instructions(Section):
    """Instructions with responses: mathematics, code, general, multilingual."""
