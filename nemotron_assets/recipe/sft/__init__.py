"""Numbers of the SFT data, Nemotron-Pretraining-SFT: how many questions are written, answered, verified and kept."""

from __future__ import annotations

from nemotron_assets.recipe.section import Section
from nemotron_assets.recipe.sft.academic import Academic
from nemotron_assets.recipe.sft.instructions import Instructions
from nemotron_assets.recipe.sft.multilingual import Multilingual
from nemotron_assets.recipe.sft.procedural import Procedural
from nemotron_assets.recipe.sft.reasoning import Reasoning
from nemotron_assets.recipe.sft.release import SftRelease
from nemotron_assets.recipe.sft.stem import Stem


class Sft(Section):
    """The SFT data, Nemotron-Pretraining-SFT: questions and instructions with answers."""

    procedural: Procedural = Procedural()
    stem: Stem = Stem()
    academic: Academic
    reasoning: Reasoning = Reasoning()
    instructions: Instructions = Instructions()
    multilingual: Multilingual
    release: SftRelease = SftRelease()
