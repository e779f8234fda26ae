"""Numbers of the translation of SFT data into other languages."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from nemotron_assets.recipe.section import Section
from nemotron_assets.recipe.web.translation import Translation


class Multilingual(Section):
    """SFT data in other languages, translated line by line (Nano 2 §3.1: lines, strict brackets, untranslatable lines
    skipped, output language checked)."""

    sources: dict[str, Annotated[int, Field(ge=0)] | None] = Field(
        description="tables of SFT data whose English rows are translated, each with the most rows, those with the "
        "lowest ids, or null for all. Only rows that are published are taken: {sft.math_sft: 1000}"
    )
    languages_per_row: int | None = Field(
        ge=1, description="languages that a row is translated into, chosen by a hash; null: all of them"
    )
    translation: Translation = Field(
        description="languages, sampling and limits, as for Diverse QA. `max_samples` is not used; rows with more than "
        "`max_lines` lines are not translated"
    )

    @model_validator(mode="after")
    def _enough_languages(self) -> Multilingual:
        known = len(self.translation.languages)
        if self.languages_per_row is not None and self.languages_per_row > known:
            raise ValueError(
                f"languages_per_row {self.languages_per_row} is more than the {known} of translation.languages"
            )
        return self
