"""Academic documents, questions about them, and questions about long documents."""

from __future__ import annotations

from nemotron_assets.recipe.section import Section


class Academic(Section):
    """Academic documents, questions about them, and questions about long documents."""
