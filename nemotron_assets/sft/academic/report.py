"""Metadata of academic documents: what the model labelled, and how many documents are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nemotron_assets.plots import bars, markdown
from nemotron_assets.recipe.sft.academic import LEVELS, SUBJECTS

if TYPE_CHECKING:
    from nemotron_assets.sft.academic.documents import Tally


def documents(tally: Tally, tokens_per_second: float) -> dict[str, Any]:
    """The metadata of `sft.academic_documents`."""
    fates = dict(tally.fates.most_common())
    return {
        "labelled": sum(tally.labels.values()),
        "kept": tally.fates["kept"],
        "output_tokens": tally.output_tokens,
        "new_generations": tally.new,
        "tokens_per_second": round(tokens_per_second, 1),
        "labels": markdown(labels_table(tally)),
        "fates": bars(fates, "labelled documents", "documents") if fates else "no document was looked at",
    }


def labels_table(tally: Tally) -> str:
    """A Markdown table: labelled documents by subject and level."""
    lines = [f"| subject | {' | '.join(LEVELS)} |", "|---" + "|--:" * len(LEVELS) + "|"]
    for subject in SUBJECTS:
        lines.append(f"| {subject} | {' | '.join(f'{tally.labels[subject, level]:,}' for level in LEVELS)} |")
    return "\n".join(lines)
