"""Translates samples: asks for every line, judges the answers, and asks again for lines that failed.

Every attempt at a line is another sample number of the same request, so that the ledger keeps all answers. A sample
that is not accepted after the recipe's number of attempts is rejected.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from nemotron_assets.generation.asking import CountTokens, Generate, answered
from nemotron_assets.generation.translation import protect
from nemotron_assets.generation.translation.judging import Detect, Fault, judge_line, judge_sample
from nemotron_assets.generation.translation.lines import Line, excerpt, parse
from nemotron_assets.generation.translation.prompt import request
from nemotron_assets.recipe.web.translation import Translation
from resources.generations import Completion, Request


@dataclass
class Draft:
    """The translation of a sample into one language while it is made.

    Lines are named by their number in the sample. `translations` have placeholders; `faults` are those of lines in the
    last attempt, `fault` is that of the sample; `pending` lines are still to be asked for. `generations` are the ids of
    all answers, `used_generations` those of the accepted lines. `new` counts the generations this run paid for.
    `copied` and `detected` are results of `judge_sample`.
    """

    sample: dict
    language: str
    lines: list[Line]
    translations: dict[int, str] = field(default_factory=dict)
    faults: dict[int, Fault] = field(default_factory=dict)
    fault: Fault | None = None
    pending: list[int] = field(default_factory=list)
    attempts: int = 0
    generations: list[str] = field(default_factory=list)
    used_generations: dict[int, str] = field(default_factory=dict)
    output_tokens: int = 0
    new: int = 0
    detected: tuple[str, float] | None = None
    copied: int = 0

    @property
    def accepted(self) -> bool:
        return self.fault is None

    @property
    def lines_with_words(self) -> list[int]:
        """The numbers of the lines that are translated."""
        return [number for number, line in enumerate(self.lines) if line.has_words]

    def text(self) -> str:
        """The translated sample."""
        return "\n".join(
            line.render(
                self.language, protect.restore(self.translations.get(number, line.source.text), line.source.pieces)
            )
            for number, line in enumerate(self.lines)
        )

    def requests(self, recipe: Translation) -> list[Request]:
        """The requests for the pending lines."""
        parents = (self.sample["id"],)
        return [
            request(recipe, self.language, self.lines[number].source, self.attempts, parents) for number in self.pending
        ]

    def add_answers(self, completions: Sequence[Completion], recipe: Translation, detect: Detect) -> None:
        """Judge the answers to `requests`, and the whole sample once all its lines have passed."""
        self.attempts += 1
        for number, completion in zip(self.pending, completions, strict=True):
            self.generations.append(completion.id)
            self.output_tokens += completion.output_tokens
            self.new += completion.new
            translation, fault = judge_line(self.lines[number], completion, self.language, recipe)
            self.faults.pop(number, None)
            if fault:
                self.faults[number] = fault
            else:
                self.translations[number], self.used_generations[number] = translation, completion.id
        self.pending = sorted(self.faults)
        if self.faults:
            number, first = min(self.faults.items())
            self.fault = Fault(
                first.cause, f"{len(self.faults)} of {len(self.lines_with_words)} lines; line {number}: {first.detail}"
            )
        else:
            self._judge_sample(recipe, detect)

    def _judge_sample(self, recipe: Translation, detect: Detect) -> None:
        translations = {number: self.translations[number] for number in self.lines_with_words}
        verdict = judge_sample(self.lines, translations, self.language, recipe, detect)
        self.fault, self.copied, self.detected = verdict.fault, verdict.copied, verdict.detected
        if self.fault:
            self.pending = verdict.suspects


def translate(
    samples: Iterable[dict],
    recipe: Translation,
    *,
    count: CountTokens,
    room: int,
    generate: Generate,
    detect: Detect,
) -> Iterator[Draft]:
    """The draft of every sample (a dict with id and text) in every language, accepted or not, in the order of the
    samples. A sample with `languages` is translated into these only.

    The requests of a batch of samples in all languages go to `generate` as one stream per attempt. `room` is the number
    of tokens that a line may have.
    """
    samples = iter(samples)
    while batch := list(itertools.islice(samples, recipe.batch_samples)):
        drafts = [draft for sample in batch for draft in _start_drafts(sample, recipe, count, room)]
        for _ in range(recipe.attempts):
            # Sorted by language, because an engine computes the common beginning of successive prompts only once.
            unfinished = sorted((draft for draft in drafts if draft.pending), key=lambda draft: draft.language)
            for draft, completions in answered(((d, d.requests(recipe)) for d in unfinished), generate):
                draft.add_answers(completions, recipe, detect)
        yield from drafts


def _start_drafts(sample: dict, recipe: Translation, count: CountTokens, room: int) -> list[Draft]:
    """A draft per language. If a sample cannot be asked for, its drafts have a fault and no pending lines."""
    lines = parse(excerpt(sample["text"], recipe.max_lines))
    wanted = [number for number, line in enumerate(lines) if line.has_words]
    longest = max(count([lines[number].source.text for number in wanted]), default=0)
    fault = None
    if not wanted:
        fault = Fault("nothing_to_translate", f"{len(lines)} lines without words")
    elif longest > room:
        fault = Fault("line_too_long", f"a line has {longest} tokens, there is room for {room}")
    return [
        Draft(sample, language, lines, fault=fault, pending=[] if fault else wanted)
        for language in sample.get("languages") or recipe.languages
    ]
