"""Estimates of the sample of all published data sets."""

from __future__ import annotations

from nemotron_assets.planning.figures import Value, total
from nemotron_assets.planning.plan import Estimate, Plan, estimates

#: The table of each subset, and the part of the table if it is not the whole.
_SUBSETS = {
    "Nemotron-CC-High-Quality": ("web.nemotron_cc_v2", "High-Quality"),
    "Nemotron-CC-High-Quality-Synthetic": ("web.nemotron_cc_v2", "High-Quality-Synthetic"),
    "Nemotron-CC-Diverse-QA": ("web.nemotron_cc_v2", "Diverse-QA"),
    "Nemotron-CC-Translated-Diverse-QA": ("web.nemotron_cc_v2", "Translated-Diverse-QA"),
    "Nemotron-CC-MATH": ("math.nemotron_cc_math", ""),
    "Nemotron-Synthetic-Code": ("code.qa", ""),
    "Nemotron-Code-Metadata": ("code.metadata", ""),
    "Nemotron-SFT-Code": ("sft.nemotron_sft", "Code"),
    "Nemotron-SFT-General": ("sft.nemotron_sft", "General"),
    "Nemotron-SFT-MATH": ("sft.nemotron_sft", "MATH"),
}


@estimates("blend.dataset_sample")
def dataset_sample(plan: Plan) -> Estimate:
    """At most the published number of rows of each subset."""
    rows, tokens = [], []
    for name, most in plan.recipe.release.sample.rows.items():
        table, part = _SUBSETS[name]
        taken = _rows(plan, table, part).up_to(plan.value(f"release.sample.rows.{name}", most))
        rows.append(taken)
        above = plan.of(table)
        tokens.append(None if above.tokens is None else taken * (above.tokens / above.rows))
    spent = plan.taking("blend.dataset_sample", total(rows))
    return Estimate(rows=total(rows), tokens=total(tokens), bytes=plan.text_bytes(total(tokens)), core_seconds=spent)


def _rows(plan: Plan, table: str, part: str) -> Value:
    """Rows of a table, or of a part of it, whose rows are taken to have as many tokens as those of the whole."""
    above = plan.of(table)
    return above.by_part[part] / (above.tokens / above.rows) if part in above.by_part else above.rows
