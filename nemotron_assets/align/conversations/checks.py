"""Checks of the post-training's data."""

import dagster as dg

from nemotron_assets.align.conversations.tables import SUITE_ITEMS
from nemotron_assets.blend.tables import TOKEN_SHARDS, TOKENIZER
from nemotron_assets.sft.procedural.tables import PROCEDURAL
from nemotron_assets.table.asset import table_check
from resources.lakehouse import Lakehouse


@table_check(SUITE_ITEMS, blocking=True)
def suite_items_are_sound(lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
    """No question stands twice, in one split or in both, and the answer follows from the question by its rule."""
    from nemotron_assets.align.conversations.suite_audit import faults

    found = faults(lake.read(SUITE_ITEMS).scan().collect())
    return dg.AssetCheckResult(passed=not any(found.values()), metadata=found)


@table_check(SUITE_ITEMS, reads=[TOKENIZER])
def letters_and_digits_are_one_token_each(lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
    """In questions, answers and steps, every letter and digit of an item is one token of the blend's tokenizer."""
    from nemotron_assets.align.conversations.suite_audit import split_signs
    from nemotron_assets.text.tokenizer import load

    row = lake.read(TOKENIZER).scan().select("uri").collect().row(0)
    found = split_signs(lake.read(SUITE_ITEMS).scan().collect(), load(lake.get_weights(row[0])))
    return dg.AssetCheckResult(passed=not found, metadata={"split": len(found), "examples": found[:10]})


@table_check(SUITE_ITEMS, blocking=True, reads=[TOKEN_SHARDS, PROCEDURAL])
def no_suite_item_is_in_the_blend(lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
    """No document of the pretraining goes back to the suite, and no procedural question of the SFT data, which the
    pretraining reads, is a question of the suite."""
    from nemotron_assets.align.conversations.suite_audit import in_the_blend

    found = in_the_blend(*(lake.read(table).scan() for table in (SUITE_ITEMS, TOKEN_SHARDS, PROCEDURAL)))
    return dg.AssetCheckResult(passed=not any(found.values()), metadata=found)


CHECKS = [suite_items_are_sound, letters_and_digits_are_one_token_each, no_suite_item_is_in_the_blend]
