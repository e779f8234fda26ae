"""Numbers of Nemotron-CC-Math: which pages have mathematics, how they become text, and what becomes of the corpus."""

from __future__ import annotations

from pydantic import Field

from nemotron_assets.recipe.math.corpus import MathCorpus
from nemotron_assets.recipe.math.pages import Math as MathPages
from nemotron_assets.recipe.section import Section


class Math(Section):
    """Nemotron-CC-Math."""

    pages: MathPages = Field(MathPages(), description="which pages have mathematics, and how they become text")
    corpus: MathCorpus
