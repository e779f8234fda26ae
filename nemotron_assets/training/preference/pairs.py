"""Makes pairs of answers: a policy answers each prompt several times, verifiers score the answers, and of those with
different scores a better and a worse one become a pair."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

from nemotron_assets.chat.conversation import Message, from_json, tools_from_json
from nemotron_assets.chat.encoding import training_rows
from nemotron_assets.chat.parsing import parse
from nemotron_assets.chat.template import END_OF_TURN, END_OF_TURN_ID, prompt_ids, render
from nemotron_assets.rollouts.policy import Ask
from nemotron_assets.table.ids import row_id
from nemotron_assets.table.parts import Reject, Rejects
from nemotron_assets.training.preference.columns import REFERENCE, SAMPLE

if TYPE_CHECKING:
    import polars as pl
    from tokenizers import Tokenizer

    from nemotron_assets.grading.rewards import Reward, Rewards
    from nemotron_assets.recipe.align.preference import PairSampling
    from nemotron_assets.rollouts.policy import Policy

#: Prompts whose answers are sampled and scored together.
_TOGETHER = 64


@dataclass(frozen=True)
class Answer:
    """An answer with its tokens and its score; a reference answer has no generation."""

    text: str
    tokens: list[int]
    score: float
    verifiers: tuple[str, ...]
    generation_id: str | None = None

    @property
    def ends(self) -> bool:
        """Whether the model ended its turn: an answer that goes on must not be preferred."""
        return self.tokens[-1:] == [END_OF_TURN_ID]


@dataclass
class Pairing:
    """Makes the pairs of one part of a table of pairs (its full name is `table`): the answers of one policy to prompts
    of one kind.

    `part`, `kind`, `round` and `model_id` become columns. `counts` says what became of the prompts: pair,
    pair_with_reference, all_right, all_wrong, no_difference, unfinished, too_long, grader_error.
    """

    settings: PairSampling
    policy: Policy
    rewards: Rewards
    tokenizer: Tokenizer
    max_tokens: int
    table: str
    part: str
    kind: str
    round: int
    model_id: str
    rejects: Rejects = field(default_factory=Rejects)
    counts: Counter = field(default_factory=Counter)

    def rows(self, prompts: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """The rows of pairs, of rows of `align.prompts`. A prompt gives at most one."""
        waiting = iter(prompts)
        while batch := list(islice(waiting, _TOGETHER)):
            for prompt, tokens, answers in self._answered(batch):
                if row := self._pair(prompt, tokens, answers):
                    yield row

    def _answered(self, prompts: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], list[int], list[Answer]]]:
        """Each prompt with its tokens and its scored answers. A prompt with an answer that no verifier could score is
        left out."""
        fitting = [(prompt, self._tokens(prompt)) for prompt in prompts]
        fitting = [(prompt, tokens) for prompt, tokens in fitting if self._fits(tokens)]
        asks = [ask for prompt, tokens in fitting for ask in self._asks(prompt, tokens)]
        answers = list(self.policy.rollouts(asks))
        owners = [prompt for prompt, _ in fitting for _ in range(self.settings.samples)]
        scored = self.rewards.grade((owner, answer.text) for owner, answer in zip(owners, answers, strict=True))
        graded = zip(answers, scored, strict=True)
        for prompt, tokens in fitting:
            own = list(islice(graded, self.settings.samples))
            if not self._failed(prompt, [reward for _, reward in own]):
                yield prompt, tokens, [Answer(a.text, a.tokens, r.value, tuple(r.by), a.generation_id) for a, r in own]

    def _tokens(self, prompt: dict[str, Any]) -> list[int]:
        return prompt_ids(self.tokenizer, from_json(prompt["messages"]), tools_from_json(prompt["tools"]))

    def _fits(self, tokens: list[int]) -> bool:
        fits = len(tokens) + self.settings.max_output_tokens <= self.max_tokens
        self.counts["too_long"] += not fits
        return fits

    def _asks(self, prompt: dict[str, Any], tokens: list[int]) -> Iterator[Ask]:
        text = render(from_json(prompt["messages"]), tools_from_json(prompt["tools"]))
        for sample in range(self.settings.samples):
            yield Ask(tuple(tokens), text, sample, f"preference-{self.kind}", (prompt["id"],))

    def _failed(self, prompt: dict[str, Any], rewards: Sequence[Reward]) -> bool:
        if error := next((reward.error for reward in rewards if reward.value is None), None):
            self.counts["grader_error"] += 1
            self.rejects.add(Reject(prompt["id"], "grader_error", error))
        return error is not None

    def _pair(self, prompt: dict[str, Any], tokens: list[int], answers: list[Answer]) -> dict[str, Any] | None:
        """The row of a pair, or None: all answers are equally good, or no better one ends its turn."""
        ended, worst = [answer for answer in answers if answer.ends], min(answers, key=lambda a: a.score)
        best, source = max(ended, key=lambda a: a.score, default=None), SAMPLE
        if (best is None or best.score < 1) and (reference := self._reference(prompt, tokens)):
            best, source = reference, REFERENCE
        if best is None or best.score - worst.score < self.settings.min_margin:
            self.counts[self._no_pair(max(answer.score for answer in answers), worst.score)] += 1
            return None
        self.counts["pair" if source == SAMPLE else "pair_with_reference"] += 1
        return {
            "id": row_id(self.table, self.part, prompt["id"]),
            "parents": [prompt["id"]],
            "sources": ["align.prompts"],
            "part": self.part,
            "kind": self.kind,
            "round": self.round,
            "split": prompt["split"],
            "messages": prompt["messages"],
            "tools": prompt["tools"],
            "chosen": best.text,
            "rejected": worst.text,
            "prompt_tokens": tokens,
            "chosen_tokens": best.tokens,
            "rejected_tokens": worst.tokens,
            "chosen_from": source,
            "labelled_by": "+".join(worst.verifiers),
            "chosen_score": best.score,
            "rejected_score": worst.score,
            "margin": best.score - worst.score,
            "samples": len(answers),
            "right_samples": sum(answer.score == 1 for answer in ended),
            "model_id": self.model_id,
            "generation_ids": [answer.generation_id for answer in (best, worst) if answer.generation_id],
        }

    def _no_pair(self, best: float, worst: float) -> str:
        """Why answers with these scores make no pair, though unfinished ones count."""
        if best - worst >= self.settings.min_margin:
            return "unfinished"
        return "all_right" if worst == 1 else "all_wrong" if best == 0 else "no_difference"

    def _reference(self, prompt: dict[str, Any], tokens: list[int]) -> Answer | None:
        """The reference answer of a prompt, as the model would write it, with its score. None without a reference, or
        if the recipe does not want it, or if the verifiers do not find it right: a wrong one teaches nothing."""
        if not (self.settings.reference_positives and prompt["reference"]):
            return None
        read = parse(prompt["reference"], thinking=False)
        messages = (*from_json(prompt["messages"]), Message("assistant", read.content, tool_calls=read.tool_calls))
        (row,) = training_rows(self.tokenizer, messages, tools_from_json(prompt["tools"]), last=1)
        answer = row.ids[len(tokens) :]
        if row.ids[: len(tokens)] != tokens:
            raise ValueError(f"the reference answer of {prompt['id']} does not begin after the tokens of its prompt")
        text = self.tokenizer.decode(answer, skip_special_tokens=False).removesuffix(END_OF_TURN)
        (reward,) = self.rewards.grade([(prompt, text)])
        return Answer(text, answer, reward.value, tuple(reward.by)) if reward.value == 1 else None


def chosen_prompts(prompts: pl.LazyFrame, settings: PairSampling, number: int) -> Iterator[dict[str, Any]]:
    """The rows of `align.prompts` that round `number` asks: of every kind as many of the split train as the settings
    say, other ones in every round while there are enough, and always the same of the split held_out. Ids are hashes, so
    their order is a random one."""
    import polars as pl

    for kind in settings.prompt_kinds:
        yield from _of_kind(prompts.filter(pl.col("kind") == kind), settings, number)


def _of_kind(own: pl.LazyFrame, settings: PairSampling, number: int) -> Iterator[dict[str, Any]]:
    import polars as pl

    train = own.filter(pl.col("split") == "train").sort("id")
    count = train.select(pl.len()).collect().item()
    wanted = min(settings.prompts, count)
    places = [((number - 1) * settings.prompts + place) % count for place in range(wanted)]
    rows = train.with_row_index("place").filter(pl.col("place").is_in(places)).drop("place")
    yield from rows.collect().iter_rows(named=True)
    held_out = own.filter(pl.col("split") == "held_out").sort("id").head(settings.held_out_prompts)
    yield from held_out.collect().iter_rows(named=True)
