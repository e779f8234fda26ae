"""The recipe's section `sft`, with its subsections."""

from __future__ import annotations

from pydantic import Field

from nemotron_assets.recipe.section import Section
from nemotron_assets.recipe.sft.academic import Academic
from nemotron_assets.recipe.sft.inputs import SftInputs
from nemotron_assets.recipe.sft.instructions import Instructions
from nemotron_assets.recipe.sft.multilingual import Multilingual
from nemotron_assets.recipe.sft.procedural import Procedural
from nemotron_assets.recipe.sft.reasoning import Reasoning
from nemotron_assets.recipe.sft.release import SftRelease
from nemotron_assets.recipe.sft.stem import Stem


class Sft(Section):
    """The SFT data, Nemotron-Pretraining-SFT: questions and instructions with answers."""

    procedural: Procedural = Procedural()
    inputs: SftInputs = SftInputs()
    max_model_len: int | None = Field(
        None,
        ge=256,
        description="context window of the models in the lists of generators, in tokens; null: llm.max_model_len",
    )
    stem: Stem
    academic: Academic
    reasoning: Reasoning
    instructions: Instructions
    multilingual: Multilingual
    release: SftRelease = SftRelease()

    @property
    def models(self) -> tuple[str, ...]:
        """Every language model that a table of the SFT data is written or judged by, named as in the recipe."""
        many = self.instructions
        names = [*self.stem.generators, *self.reasoning.generators, *many.math.generators, *many.code.generators]
        for one in many.general.sets.values():
            names += [*one.generators, *filter(None, (one.judge,))]
        return tuple(dict.fromkeys(names))

    @property
    def seed_sets(self) -> tuple[str, ...]:
        """Every set of sft.seeds that a table is made from."""
        many = self.instructions
        names = [*self.stem.seeds, *many.math.seeds, *many.code.seeds]
        for kind in self.reasoning.kinds.values():
            names += [kind.examples, *filter(None, (kind.passages,))]
        names += [one.source.removeprefix("seeds/") for one in many.general.sets.values() if "/" in one.source]
        return tuple(dict.fromkeys(names))
