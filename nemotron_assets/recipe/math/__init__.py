"""Numbers of the mathematics, Nemotron-CC-Math: which pages have formulas, their text, and the corpus."""

from __future__ import annotations

from nemotron_assets.recipe.math.corpus import MathCorpus
from nemotron_assets.recipe.math.pages import MathPages
from nemotron_assets.recipe.section import Section


class Math(Section):
    """The mathematics, Nemotron-CC-Math: pages with formulas, the corpus made from them, and dialogues about it."""

    pages: MathPages = MathPages()
    corpus: MathCorpus
