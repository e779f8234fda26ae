"""Numbers of Nemotron-CC-v2: from pages to documents, deduplication, quality, synthetic text."""

from __future__ import annotations

from pydantic import Field

from nemotron_assets.recipe.dedup import Dedup, Substring
from nemotron_assets.recipe.section import Section
from nemotron_assets.recipe.web.documents import Documents
from nemotron_assets.recipe.web.heuristics import Heuristics, Measures, Perplexity
from nemotron_assets.recipe.web.quality import Quality
from nemotron_assets.recipe.web.synthetic import DiverseQa, Rephrased
from nemotron_assets.recipe.web.translation import Translation


class Web(Section):
    """Nemotron-CC-v2."""

    documents: Documents
    dedup: Dedup
    substring: Substring
    quality: Quality
    measures: Measures = Field(Measures(), description="strings that the numbers of the rules are made with")
    heuristics: Heuristics = Field(Heuristics(), description="which rules decide about which documents")
    perplexity: Perplexity
    rephrased: Rephrased
    diverse_qa: DiverseQa
    translation: Translation
