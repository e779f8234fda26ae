"""Numbers of Nemotron-Pretraining-Code: sources, copies, licences, quality, questions and answers."""

from __future__ import annotations

from pydantic import Field

from nemotron_assets.recipe.code.licences import CodeLicences
from nemotron_assets.recipe.code.qa import CodeQa
from nemotron_assets.recipe.code.quality import CodeQuality
from nemotron_assets.recipe.code.sources import CodeDedup, CodeSources
from nemotron_assets.recipe.section import Section


class Code(Section):
    """Nemotron-Pretraining-Code."""

    sources: CodeSources = Field(CodeSources(), description="where code comes from")
    dedup: CodeDedup
    licences: CodeLicences = Field(CodeLicences(), description="which licences code may have")
    quality: CodeQuality = Field(CodeQuality(), description="which code files are kept")
    qa: CodeQa
