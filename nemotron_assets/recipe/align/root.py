"""The section `align` of the recipe."""

from __future__ import annotations

from pydantic import Field

from nemotron_assets.recipe.align.conversations import Conversations, Prompts
from nemotron_assets.recipe.align.merging import Merging
from nemotron_assets.recipe.align.preference import Preference
from nemotron_assets.recipe.align.reinforcement import Reinforcement
from nemotron_assets.recipe.align.rollouts import Rollouts
from nemotron_assets.recipe.align.suite import Suite
from nemotron_assets.recipe.align.tuning import Tuning
from nemotron_assets.recipe.section import Section


class Align(Section):
    """The post-training (Nemotron Nano 2 §3)."""

    suite: Suite = Suite()
    conversations: Conversations = Conversations()
    prompts: Prompts = Prompts()
    rollouts: Rollouts = Field(description="how answers of the models are sampled")
    tuning: Tuning = Field(description="the supervised stages")
    preference: Preference
    merging: Merging
    reinforcement: Reinforcement = Field(description="reinforcement learning")
