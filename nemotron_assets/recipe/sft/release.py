"""Which rows of the SFT tables are published and trained on."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import Field

from nemotron_assets.recipe.section import Section

#: How the answer of a row was verified, from the strongest to the weakest.
Status = Literal["verified", "majority", "judged", "unverified", "failed"]
STATUSES = get_args(Status)


class SftRelease(Section):
    """Which rows of the SFT tables are published and trained on. Rows whose answer failed never are."""

    unverified: list[str] = Field(
        default_factory=list,
        description="tables whose rows without a verified answer are used too, for example sft.general_sft: nothing "
        "can verify an answer to an open question. Rows of other tables need a verified, majority or judged answer",
    )
