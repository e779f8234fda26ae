"""The recipe's section `code`, with its subsections."""

from __future__ import annotations

from nemotron_assets.recipe.code.licences import CodeLicences
from nemotron_assets.recipe.code.qa import CodeQa
from nemotron_assets.recipe.code.quality import CodeQuality
from nemotron_assets.recipe.code.sources import CodeDedup, CodeSources
from nemotron_assets.recipe.section import Section


class Code(Section):
    """Source code, Nemotron-Pretraining-Code: repositories, copies, licences, quality, and problems about the code."""

    sources: CodeSources = CodeSources()
    dedup: CodeDedup
    licences: CodeLicences = CodeLicences()
    quality: CodeQuality = CodeQuality()
    qa: CodeQa
