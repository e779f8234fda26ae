"""Chooses the samples that are translated."""

from __future__ import annotations

import polars as pl

from nemotron_assets.generation.translation.languages import SOURCE
from nemotron_assets.recipe.web.translation import Translation


def choose_samples(samples: pl.LazyFrame, recipe: Translation) -> pl.LazyFrame:
    """The English samples to translate: all, or the `max_samples` samples with the lowest ids. Ids are hashes."""
    wanted = samples.filter(pl.col("language") == SOURCE).select("id", "snapshot", "text")
    return wanted if recipe.max_samples is None else wanted.bottom_k(recipe.max_samples, by="id")
