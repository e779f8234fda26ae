"""The metadata of code.qa in the Dagster UI."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg

from nemotron_assets.code.qa.solving import CAUSES
from nemotron_assets.generation.asking import Tally, example_markdown
from nemotron_assets.grading.execution import OUTCOMES
from nemotron_assets.plots import bars


def metadata(language: str, tally: Tally, executed: Mapping[str, int]) -> dict[str, Any]:
    """Numbers of one language (attempts, causes of failure, results of running the codes), a plot and an example."""
    causes = {cause: tally.rejected[cause] for cause in CAUSES}
    return {
        "samples": tally.rows,
        "attempts": tally.documents,
        "generations": tally.segments,
        "new_generations": tally.new,
        "output_tokens": tally.output_tokens,
        "tokens": tally.tokens,
        **causes,
        **{f"execution_{outcome}": executed.get(outcome, 0) for outcome in OUTCOMES if executed},
        "plot": bars({"accepted": tally.rows, **causes}, f"Attempts in {language}", "attempts"),
        "example": dg.MetadataValue.md(example_markdown(tally.example)),
    }
