"""Numbers of the web data, Nemotron-CC-v2: documents, duplicates, quality, filters, synthetic text."""

from __future__ import annotations

from nemotron_assets.recipe.dedup import Dedup, Substring
from nemotron_assets.recipe.section import Section
from nemotron_assets.recipe.web.documents import Documents
from nemotron_assets.recipe.web.heuristics import Heuristics, Measures, Perplexity
from nemotron_assets.recipe.web.quality import Quality
from nemotron_assets.recipe.web.synthetic import DiverseQa, NativeQa, Rephrased
from nemotron_assets.recipe.web.translation import Translation


class Web(Section):
    """Nemotron-CC-v2: from web pages to documents by quality, without duplicates, with synthetic text."""

    documents: Documents
    dedup: Dedup
    substring: Substring
    quality: Quality
    measures: Measures = Measures()
    heuristics: Heuristics = Heuristics()
    perplexity: Perplexity
    rephrased: Rephrased
    diverse_qa: DiverseQa
    native_qa: NativeQa = NativeQa()
    translation: Translation
