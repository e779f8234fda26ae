"""Counts what becomes of answers while an SFT table is written, and shows the counts as the metadata of its asset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nemotron_assets.generation.asking import example_markdown
from nemotron_assets.recipe.sft.release import STATUSES
from nemotron_assets.sft.answers import Fault
from nemotron_assets.table.markdown import markdown_row
from nemotron_assets.table.parts import Reject
from resources.generations import Completion


@dataclass
class Tally:
    """Counts of one table: answers, tokens written, rows by status and prompt, rejects by cause and prompt.

    `reject` is where rejected answers go. `questions` counts new questions, which have no answer yet, by prompt.
    `example` is the text of the best row so far, by its status.
    """

    reject: Callable[[Reject], None] = lambda reject: None
    answers: int = 0
    new: int = 0
    output_tokens: int = 0
    tokens: int = 0
    rows: Counter[tuple[str, str]] = field(default_factory=Counter)
    rejected: Counter[tuple[str, str]] = field(default_factory=Counter)
    questions: Counter[str] = field(default_factory=Counter)
    example: tuple[int, str] = (len(STATUSES), "")

    def answered(self, completions: Iterable[Completion]) -> None:
        """Count the answers of a model."""
        for completion in completions:
            self.answers += 1
            self.new += completion.new
            self.output_tokens += completion.output_tokens

    def refuse(self, completion: Completion, fault: Fault, about: str) -> None:
        """Quarantine an answer that cannot be used. `about` names what it should have been about."""
        self.rejected[completion.request.prompt, fault.cause] += 1
        self.reject(Reject(completion.id, fault.cause, f"{completion.request.prompt} of {about}: {fault.detail}"))

    def row(self, row: Mapping[str, Any]) -> None:
        """Count a finished row of the table."""
        self.rows[row["prompt"], row["status"]] += 1
        self.tokens += row["tokens"]
        rank = STATUSES.index(row["status"])
        if rank < self.example[0]:
            self.example = rank, row["text"]

    def expanded(self, row: Mapping[str, Any]) -> None:
        """Count a new question, which has no answer yet."""
        self.questions[row["prompt"]] += 1
        self.tokens += row["tokens"]
        self.example = self.example if self.example[1] else (len(STATUSES), row["question"])

    def counted(self, rows: Iterable[dict[str, Any]]) -> Iterable[dict[str, Any]]:
        """The same rows, counted as they pass."""
        for row in rows:
            self.row(row)
            yield row

    def metadata(self, tokens_per_second: float = 0.0) -> dict[str, Any]:
        """Metadata of the asset: rows by status, reasons of rejects, a plot, and an example."""
        from nemotron_assets.plots import bars, markdown

        status, causes = Counter(), Counter()
        for (_, name), number in self.rows.items():
            status[name] += number
        for (_, cause), number in self.rejected.items():
            causes[cause] += number
        by_status = {name: status[name] for name in STATUSES}
        written = {"questions": sum(self.questions.values()), **self.questions} if self.questions else by_status
        return {
            "rows": sum(by_status.values()) + sum(self.questions.values()),
            **written,
            "answers": self.answers,
            "new_generations": self.new,
            "output_tokens": self.output_tokens,
            "tokens": self.tokens,
            "tokens_per_second": round(tokens_per_second, 1),
            "rejected_answers": sum(causes.values()),
            **(
                {}
                if self.questions
                else {"rows_by_status": markdown(_table(STATUSES, self.rows) if self.rows else "No row was written.")}
            ),
            "reject_reasons": markdown(_table(sorted(causes), self.rejected) if causes else "No answer was rejected."),
            "outcomes": bars({**written, **dict(causes.most_common())}, "what became of the answers", "number"),
            "example": markdown(example_markdown(self.example[1] or "no row")),
        }


def _table(names: Iterable[str], counts: Mapping[tuple[str, str], int]) -> str:
    """A Markdown table of counts by (prompt, name): a row per prompt, a column per name."""
    names = list(names)
    lines = [markdown_row(["prompt", *names]), "|---" + "|--:" * len(names) + "|"]
    for prompt in sorted({prompt for prompt, _ in counts}):
        lines.append(markdown_row([prompt, *(f"{counts.get((prompt, name), 0):,}" for name in names)]))
    return "\n".join(lines)
