"""Science questions: expansion, answers, multiple choice."""

from __future__ import annotations

from nemotron_assets.recipe.section import Section


class Stem(Section):
    """Science questions: expansion, answers, multiple choice."""
