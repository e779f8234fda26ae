"""What becomes of finished drafts: rows of two tables, rejected rows, and counts per language."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nemotron_assets.generation.asking import CountTokens, frames
from nemotron_assets.generation.translation.drafts import Draft
from nemotron_assets.generation.translation.prompt import PROMPT
from nemotron_assets.table.ids import row_id
from nemotron_assets.table.parts import Reject
from nemotron_assets.table.schema import Table
from nemotron_assets.web.synthetic.tables import TRANSLATED_DIVERSE_QA, TRANSLATION_OUTCOMES

if TYPE_CHECKING:
    import polars as pl

_FRAME_ROWS = 512


def rows(drafts: Iterable[Draft], generator: str, count: CountTokens) -> Iterator[tuple[Table, pl.DataFrame]]:
    """Frames of `web.translation_outcomes` (all drafts) and of `web.translated_diverse_qa` (accepted drafts), in turns.
    Each table gets at least one frame, which may be empty."""
    drafts = iter(drafts)
    while True:
        batch = list(itertools.islice(drafts, _FRAME_ROWS))
        accepted = [draft for draft in batch if draft.accepted]
        texts = [draft.text() for draft in accepted]
        translated = [_translated_row(*made, generator) for made in zip(accepted, texts, count(texts), strict=True)]
        yield TRANSLATION_OUTCOMES, next(frames(map(_outcome_row, batch), TRANSLATION_OUTCOMES, _FRAME_ROWS + 1))
        yield TRANSLATED_DIVERSE_QA, next(frames(translated, TRANSLATED_DIVERSE_QA, _FRAME_ROWS + 1))
        if len(batch) < _FRAME_ROWS:
            return


def reject_of(draft: Draft) -> Reject:
    """The quarantined row of a draft that is not accepted. Its id is that of the row in `web.translation_outcomes`."""
    return Reject(
        _outcome_id(draft),
        draft.fault.cause,
        f"{draft.language}, sample {draft.sample['id']}, {draft.attempts} attempts: {draft.fault.detail}",
    )


@dataclass
class Tally:
    """Counts of the drafts in one language, with the first accepted text and the first failure as examples."""

    samples: int = 0
    accepted: int = 0
    lines: int = 0
    generations: int = 0
    output_tokens: int = 0
    new: int = 0
    rejected: Counter = field(default_factory=Counter)
    example: str = ""
    failure: str = ""

    def add(self, draft: Draft) -> None:
        """Count a finished draft."""
        self.samples += 1
        self.accepted += draft.accepted
        self.lines += len(draft.lines_with_words)
        self.generations += len(draft.generations)
        self.output_tokens += draft.output_tokens
        self.new += draft.new
        if draft.fault:
            self.rejected[draft.fault.cause] += 1
            self.failure = self.failure or f"{draft.fault.cause}: {draft.fault.detail}"
        else:
            self.example = self.example or draft.text()


def _outcome_id(draft: Draft) -> str:
    return row_id(TRANSLATION_OUTCOMES.full_name, draft.sample["id"], draft.language)


def _outcome_row(draft: Draft) -> dict:
    language, score = draft.detected or (None, None)
    return {
        "id": _outcome_id(draft),
        "parents": [draft.sample["id"]],
        "snapshot": draft.sample["snapshot"],
        "language": draft.language,
        "outcome": "accepted" if draft.accepted else "rejected",
        "reason": draft.fault and draft.fault.cause,
        "detail": draft.fault and draft.fault.detail,
        "lines": len(draft.lines),
        "asked_lines": len(draft.lines_with_words),
        "failed_lines": 0 if draft.accepted else len(draft.faults) or len(draft.pending),
        "copied_lines": draft.copied,
        "attempts": draft.attempts,
        "detected": language,
        "detected_score": score,
        "output_tokens": draft.output_tokens,
        "generation_ids": draft.generations,
    }


def _translated_row(draft: Draft, text: str, tokens: int, generator: str) -> dict:
    return {
        "id": row_id(TRANSLATED_DIVERSE_QA.full_name, draft.sample["id"], draft.language),
        "parents": [draft.sample["id"]],
        "snapshot": draft.sample["snapshot"],
        "language": draft.language,
        "text": text,
        "prompt": PROMPT,
        "generator": generator,
        "generation_ids": [draft.used_generations[number] for number in sorted(draft.used_generations)],
        "tokens": tokens,
    }
