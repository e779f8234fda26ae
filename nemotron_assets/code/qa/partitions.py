"""The partitions of code.qa: one per programming language of the recipe."""

import dagster as dg

from nemotron_assets.recipe import current_recipe

PARTITIONS = {"language": dg.StaticPartitionsDefinition(list(current_recipe().code.qa.languages))}
