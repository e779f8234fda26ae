"""Fundamental reasoning: questions with options, chains of thought, majority vote."""

from __future__ import annotations

from nemotron_assets.recipe.section import Section


class Reasoning(Section):
    """Fundamental reasoning: questions with options, chains of thought, majority vote."""
