"""Where conversations and prompts of the post-training come from, and which copies of them are made."""

from __future__ import annotations

from pydantic import Field, field_validator

from nemotron_assets.recipe.align.sources import SFT_TABLES
from nemotron_assets.recipe.section import Section

_SHARE = "share of the suite's items that have their steps as a thought, 0 to 1 (default)"


class SftSource(Section):
    """What is taken of one table of SFT data. Failed rows are never taken."""

    share: float = Field(1.0, ge=0, le=1, description="share of the rows, 0 to 1; their ids decide which (default)")
    max_rows: int | None = Field(None, ge=0, description="most rows; null: no limit (default)")
    unverified: bool = Field(False, description="whether rows whose answer nothing verified are taken, too (default)")


def _all_tables() -> dict[str, SftSource]:
    return {name: SftSource() for name in SFT_TABLES}


class Conversations(Section):
    """The conversations that the supervised stages learn from."""

    thinking_share: float = Field(0.25, ge=0, le=1, description=_SHARE)
    sft: dict[str, SftSource] = Field(
        default_factory=_all_tables, description="tables of SFT data, by name, and what is taken of each (default: all)"
    )

    @field_validator("sft")
    @classmethod
    def _known_tables(cls, tables: dict[str, SftSource]) -> dict[str, SftSource]:
        if unknown := sorted(set(tables) - set(SFT_TABLES)):
            raise ValueError(f"{unknown[0]!r} is not a table of SFT data, which are: {', '.join(SFT_TABLES)}")
        return tables


class Prompts(Section):
    """The prompts that policies are asked."""

    thinking_share: float = Field(0.25, ge=0, le=1, description=_SHARE)
