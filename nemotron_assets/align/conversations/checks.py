"""Checks of the post-training's data."""

from typing import Any

import dagster as dg

from nemotron_assets.align.conversations.tables import CONVERSATIONS, PROMPTS, SUITE_ITEMS
from nemotron_assets.align.tuning.tables import SFT_1
from nemotron_assets.blend.tables import TOKEN_SHARDS, TOKENIZER
from nemotron_assets.recipe import Recipe
from nemotron_assets.sft.procedural.tables import PROCEDURAL
from nemotron_assets.table.asset import table_check
from resources.lakehouse import Lakehouse


@table_check(SUITE_ITEMS, blocking=True)
def suite_items_are_sound(lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
    """No question stands twice, in one split or in both, and the answer follows from the question by its rule."""
    from nemotron_assets.align.conversations.suite_audit import faults

    found = faults(lake.read(SUITE_ITEMS).scan().collect())
    return dg.AssetCheckResult(passed=not any(found.values()), metadata=found)


# Not a check of the suite, which a new lake makes before it has a tokenizer.
@table_check(CONVERSATIONS, reads=[SUITE_ITEMS, TOKENIZER])
def letters_and_digits_are_one_token_each(lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
    """In questions, answers and steps, every letter and digit of an item is one token of the blend's tokenizer."""
    from nemotron_assets.align.conversations.suite_audit import split_signs

    found = split_signs(lake.read(SUITE_ITEMS).scan().collect(), _tokenizer(lake))
    return dg.AssetCheckResult(passed=not found, metadata={"split": len(found), "examples": found[:10]})


# Not a check of the suite, which a new lake makes before it has a blend.
@table_check(SFT_1, blocking=True, reads=[SUITE_ITEMS, TOKEN_SHARDS, PROCEDURAL])
def no_suite_item_is_in_the_blend(lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
    """No document of the pretraining goes back to the suite, and no procedural question of the SFT data, which the
    pretraining reads, is a question of the suite."""
    from nemotron_assets.align.conversations.suite_audit import in_the_blend

    found = in_the_blend(*(lake.read(table).scan() for table in (SUITE_ITEMS, TOKEN_SHARDS, PROCEDURAL)))
    return dg.AssetCheckResult(passed=not any(found.values()), metadata=found)


@table_check(CONVERSATIONS, blocking=True, reads=[TOKENIZER])
def conversations_can_be_learned(
    lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]
) -> dg.AssetCheckResult:
    """Conversations have the form of the chat template, no answer teaches a second close or a call as text, and the
    end-of-turn token of the last answer is trained."""
    from nemotron_assets.align.conversations.audit import faults_of_form

    tokenizer = _tokenizer(lake)
    found = faults_of_form(lake.read(CONVERSATIONS).scan(), tokenizer, recipe.align.conversations.checked_rows)
    return dg.AssetCheckResult(passed=not any(found[name] for name in list(found)[:4]), metadata=found)


@table_check(CONVERSATIONS)
def shares_of_copies_are_those_of_the_recipe(
    lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]
) -> dg.AssetCheckResult:
    """Every copy has its original; the share without thought is the recipe's, but for chance; cut thoughts keep a
    number of tokens within the recipe's range."""
    from nemotron_assets.align.conversations.audit import shares

    found = shares(lake.read(CONVERSATIONS).scan(), recipe.align.conversations.copies)
    wrong = ("copies_without_original", "budgets_outside_of_the_recipe", "copies_that_think", "off")
    return dg.AssetCheckResult(passed=not any(found[name] for name in wrong), metadata=found)


@table_check(CONVERSATIONS, blocking=True)
def nothing_held_out_is_learned(
    lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]
) -> dg.AssetCheckResult:
    """No conversation goes back to a page, file or seed that is held out from the pretraining."""
    from nemotron_assets.align.conversations.audit import held_out_rows

    found = held_out_rows(lake.read(CONVERSATIONS).scan(), recipe.blend.held_out_share)
    return dg.AssetCheckResult(passed=not found, metadata={"held_out_conversations": found})


@table_check(PROMPTS, blocking=True, reads=[CONVERSATIONS])
def held_out_prompts_are_not_learned(lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
    """No user of a conversation says what a held-out prompt asks."""
    from nemotron_assets.align.conversations.audit import learned_prompts

    found = learned_prompts(lake.read(PROMPTS).scan(), lake.read(CONVERSATIONS).scan())
    return dg.AssetCheckResult(passed=not found, metadata={"learned": len(found), "examples": found[:10]})


@table_check(PROMPTS, blocking=True)
def references_earn_their_reward(
    lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]
) -> dg.AssetCheckResult:
    """Verifiers find the reference right and an empty answer wrong, and none of them fails."""
    from nemotron_assets.align.conversations.audit import faults_of_prompts
    from nemotron_assets.grading.rewards import Rewards

    with Rewards(recipe.grading) as rewards:
        found = faults_of_prompts(lake.read(PROMPTS).scan(), rewards, recipe.align.prompts.checked_rows)
    return dg.AssetCheckResult(passed=not any(found[name] for name in list(found)[:4]), metadata=found)


@table_check(PROMPTS)
def enough_prompts_are_held_out(
    lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]
) -> dg.AssetCheckResult:
    """As many verifiable prompts are held out as the recipe wants."""
    found = lake.read(PROMPTS).scan().filter(kind="verifiable", split="held_out").collect(engine="streaming").height
    return dg.AssetCheckResult(passed=found >= recipe.align.prompts.min_held_out, metadata={"held_out": found})


def _tokenizer(lake: Lakehouse) -> Any:
    from nemotron_assets.text.tokenizer import load

    return load(lake.get_weights(lake.read(TOKENIZER).only_row()["uri"]))


CHECKS = [
    suite_items_are_sound,
    letters_and_digits_are_one_token_each,
    no_suite_item_is_in_the_blend,
    conversations_can_be_learned,
    shares_of_copies_are_those_of_the_recipe,
    nothing_held_out_is_learned,
    held_out_prompts_are_not_learned,
    references_earn_their_reward,
    enough_prompts_are_held_out,
]
