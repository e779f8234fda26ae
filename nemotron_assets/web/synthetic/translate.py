"""Diverse QA in other languages, line by line: how a sample is taken apart, asked for, judged and put together again.

Every line with words in it is one request. What must not be translated stays outside the model's reach
(`protect.py`), the labels "Question:" and "Answer:" are translated by the table below, and blank lines stay where they
are. A line is judged alone (whole, wrapped as asked, the same pieces and numbers, a length that can be), the sample as
a whole (its language, not copied). What fails is asked for again under another sample number, then rejected.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nemotron_assets.generation.asking import CountTokens, Generate, answered, cut_off, frames
from nemotron_assets.recipe.section import RecipeError
from nemotron_assets.recipe.web.translation import Translation
from nemotron_assets.table.ids import row_id
from nemotron_assets.table.parts import Reject
from nemotron_assets.table.schema import Table
from nemotron_assets.web.synthetic import protect
from nemotron_assets.web.synthetic.protect import Protected, ProtectionError
from nemotron_assets.web.synthetic.tables import TRANSLATED_DIVERSE_QA, TRANSLATION_OUTCOMES
from resources.generations import Completion, OutputFormat, Request, Sampling

if TYPE_CHECKING:
    import polars as pl

PROMPT = "translation"
SOURCE = "en"

NAMES = {
    "ar": "Arabic", "da": "Danish", "de": "German", "es": "Spanish", "fr": "French", "it": "Italian",
    "ja": "Japanese", "ko": "Korean", "nl": "Dutch", "pl": "Polish", "pt": "Portuguese", "ru": "Russian",
    "sv": "Swedish", "th": "Thai", "zh": "Simplified Chinese",
}  # fmt: skip

#: How "Question: " and "Answer: " begin a line in each language, with the blank that follows there.
LABELS = {
    "en": ("Question: ", "Answer: "), "ar": ("السؤال: ", "الجواب: "), "da": ("Spørgsmål: ", "Svar: "),
    "de": ("Frage: ", "Antwort: "), "es": ("Pregunta: ", "Respuesta: "), "fr": ("Question : ", "Réponse : "),
    "it": ("Domanda: ", "Risposta: "), "ja": ("質問：", "回答："), "ko": ("질문: ", "답변: "),
    "nl": ("Vraag: ", "Antwoord: "), "pl": ("Pytanie: ", "Odpowiedź: "), "pt": ("Pergunta: ", "Resposta: "),
    "ru": ("Вопрос: ", "Ответ: "), "sv": ("Fråga: ", "Svar: "), "th": ("คำถาม: ", "คำตอบ: "),
    "zh": ("问题：", "答案："),
}  # fmt: skip

#: Why there is no translation. The first group fails a line, the second a sample.
CAUSES = {
    "truncated": "the answer was cut at its limit of tokens",
    "unparsable": "the answer is not one wrapped line",
    "pieces_differ": "code, formulas, addresses or numbers that were to be carried over are missing, doubled or new",
    "numbers_differ": "the translation has other numbers than the source",
    "wrong_length": "shorter or longer than a translation into this language can be",
    "copied": "too much came back as it was, or in other words but in English",
    "wrong_language": "the text is in another language",
    "line_too_long": "a line does not fit into the prompt",
    "nothing_to_translate": "no line has words",
}

#: Causes that are found before anything is asked.
UNASKED = ("line_too_long", "nothing_to_translate")

_SYSTEM = "You are a careful translator."
_TASK = """\
Translate one line from English into {language}.
- Keep its whole meaning and add nothing. If it asks something, translate the question, do not answer it.
- Copy names in braces such as {{A}} unchanged, each once, to where they belong.
- Write nothing but the translation in one line, as <t>translation</t>.

Line:
{line}"""

_LABEL = re.compile(r"(Question|Answer): (?=\S)")
_WRAPPED = re.compile(r"<t>(.*)</t>", re.S)
_GRAMMAR_STEP = 64  # lengths in the grammar are rounded up, so that few grammars serve many lines
_DETAIL_CHARACTERS = 200
_FRAME_ROWS = 512

Detect = Callable[[str], tuple[str, float]]


@dataclass(frozen=True)
class Line:
    """A line of a sample. `label` is 0 for a question, 1 for an answer, else None; `lead` and `tail` are the blanks
    around what is translated."""

    label: int | None
    lead: str
    source: Protected
    tail: str

    @property
    def has_words(self) -> bool:
        """Whether there is something to translate."""
        return any(character.isalpha() for character in protect.bare(self.source.text))

    @property
    def text(self) -> str:
        """What is translated, with its pieces."""
        return protect.restore(self.source.text, self.source.pieces)

    def written(self, language: str, translation: str) -> str:
        """The line with its label and blanks in a language."""
        return self.lead + ("" if self.label is None else LABELS[language][self.label]) + translation + self.tail


@dataclass(frozen=True)
class Fault:
    """Why a line or a sample is no translation: one of `CAUSES`, and what was found."""

    cause: str
    detail: str


def excerpt(text: str, most: int | None) -> str:
    """A sample, or its end: the last pairs that have at most `most` lines together, and the lines before them if there
    is room. At least one pair is left whole."""
    rows = protect.lines(text)
    count = sum(1 for row in rows if row.strip())
    if most is None or count <= most:
        return text
    pairs = [number for number, row in enumerate(rows) if row.startswith(LABELS[SOURCE][0])]
    filled = list(itertools.accumulate(bool(row.strip()) for row in reversed(rows)))[::-1]  # lines from here on
    fitting = next((number for number in pairs if filled[number] <= most), pairs[-1] if pairs else len(rows))
    start = fitting
    if not pairs or fitting == pairs[0]:  # all pairs fit: lines of the passage as well
        while start > 0 and (filled[start - 1] <= most):
            start -= 1
    return "\n".join(rows[start:]).lstrip("\n")


def parse(text: str) -> list[Line]:
    """The lines of a sample, blank ones as well."""
    found = []
    for row in protect.lines(text):
        body = row.strip()
        lead, tail = (row[: row.index(body)], row[row.index(body) + len(body) :]) if body else (row, "")
        labelled = _LABEL.match(body)
        label = None if not labelled else 0 if labelled[1] == "Question" else 1
        found.append(Line(label, lead, protect.protect(body[labelled.end() :] if labelled else body), tail))
    return found


def request(recipe: Translation, language: str, line: Protected, sample: int = 0, parents: tuple = ()) -> Request:
    """The question for one line."""
    task = _TASK.format(language=NAMES[language], line=line.text)
    messages = ("system", _SYSTEM), ("user", task)
    sampling = Sampling(recipe.temperature, recipe.top_p, recipe.max_output_tokens)
    return Request(PROMPT, messages, sampling, output_format(recipe, language, line), sample=sample, parents=parents)


def output_format(recipe: Translation, language: str, line: Protected) -> OutputFormat:
    """The grammar of an answer: one wrapped line, longer than any that passes by at most a step, in which only this
    line's names stand in braces."""
    most = _bounds(recipe, language, line)[1] + len(line.pieces)
    most = -(-most // _GRAMMAR_STEP) * _GRAMMAR_STEP
    plain = r"[^\x00-\x1f<>{}]"
    names = "|".join(protect.name(number)[1:-1] for number in range(len(line.pieces)))
    unit = rf"({plain}|\{{({names})\}})" if names else plain
    first = rf"([^\s\x00-\x1f<>{{}}]|\{{({names})\}})" if names else r"[^\s\x00-\x1f<>{}]"
    return OutputFormat("regex", rf"<t>{first}{unit}{{0,{most}}}</t>")


def prompt_room(recipe: Translation, count_prompt: Callable[[Request], int]) -> int:
    """Tokens a line may have: what the longest prompt without a line, and two tokens of slack, leave of the input."""
    empty = Protected("", ())
    longest = max(count_prompt(request(recipe, language, empty)) for language in recipe.languages)
    if (room := recipe.max_input_tokens - longest - 2) < 1:
        raise RecipeError(
            f"web.translation.max_input_tokens = {recipe.max_input_tokens} leaves no room for a line: the prompt alone has "
            f"{longest} tokens. Give at least {longest + 64}."
        )
    return room


def judge_line(line: Line, completion: Completion, language: str, recipe: Translation) -> tuple[str, Fault | None]:
    """(the translation, with its names in braces, None) or ("", what is wrong with the answer)."""
    if why := cut_off(completion, recipe.max_output_tokens):
        return "", Fault("truncated", why)
    wrapped = _WRAPPED.fullmatch(completion.text.strip())
    body = wrapped[1].strip() if wrapped else ""
    if not body or any(c in "<>" or unicodedata.category(c) in ("Cc", "Zl", "Zp") for c in body):
        return "", Fault("unparsable", f"{completion.text[:_DETAIL_CHARACTERS]!r}")
    try:
        whole = protect.restore(body, line.source.pieces)
    except ProtectionError as error:
        return "", Fault("pieces_differ", str(error))
    if not protect.numbers_kept(line.text, whole):
        return "", Fault("numbers_differ", f"{whole[:_DETAIL_CHARACTERS]!r}")
    shortest, longest = _bounds(recipe, language, line.source)
    length = len(protect.bare(body))
    if not shortest <= length <= longest:
        return "", Fault("wrong_length", f"{length} characters, not {shortest} to {longest}")
    return body, None


@dataclass
class Draft:
    """A sample on its way into one language. `translations` by line number; `open` lines are still to be asked for."""

    sample: dict
    language: str
    lines: list[Line]
    translations: dict[int, str] = field(default_factory=dict)
    faults: dict[int, Fault] = field(default_factory=dict)
    fault: Fault | None = None
    open: list[int] = field(default_factory=list)
    attempts: int = 0
    generations: list[str] = field(default_factory=list)
    kept: dict[int, str] = field(default_factory=dict)
    output_tokens: int = 0
    new: int = 0
    detected: tuple[str, float] | None = None
    copied: int = 0

    @property
    def accepted(self) -> bool:
        return self.fault is None

    @property
    def asked(self) -> list[int]:
        """The numbers of the lines with words."""
        return [number for number, line in enumerate(self.lines) if line.has_words]

    def text(self) -> str:
        """The translated sample."""
        return "\n".join(
            line.written(
                self.language, protect.restore(self.translations.get(number, line.source.text), line.source.pieces)
            )
            for number, line in enumerate(self.lines)
        )

    def requests(self, recipe: Translation) -> list[Request]:
        """The questions for the open lines; every attempt is another sample of the same question."""
        parents = (self.sample["id"],)
        return [
            request(recipe, self.language, self.lines[number].source, self.attempts, parents) for number in self.open
        ]

    def take(self, completions: Sequence[Completion], recipe: Translation, detect: Detect) -> None:
        """Judge the answers to `requests`, and the sample when all its lines have passed."""
        self.attempts += 1
        for number, completion in zip(self.open, completions, strict=True):
            self.generations.append(completion.id)
            self.output_tokens += completion.output_tokens
            self.new += completion.new
            translation, fault = judge_line(self.lines[number], completion, self.language, recipe)
            self.faults.pop(number, None)
            if fault:
                self.faults[number] = fault
            else:
                self.translations[number], self.kept[number] = translation, completion.id
        self.open = sorted(self.faults)
        if self.faults:
            number, first = min(self.faults.items())
            self.fault = Fault(
                first.cause, f"{len(self.faults)} of {len(self.asked)} lines; line {number}: {first.detail}"
            )
        else:
            self._judge(recipe, detect)

    def _judge(self, recipe: Translation, detect: Detect) -> None:
        """Judge the whole sample; if it fails, the lines that look guilty are open again, or all."""
        words = {number: protect.bare(self.translations[number]) for number in self.asked}
        languages = {number: detect(text) for number, text in words.items()}
        copied = [
            number
            for number, text in words.items()
            if self.translations[number].casefold() == self.lines[number].source.text.casefold()
            or (
                len(text) >= recipe.judged_line_characters
                and languages[number][0] == SOURCE
                and languages[number][1] >= recipe.language_min_score
            )
        ]
        self.copied, self.detected = len(copied), detect("\n".join(words.values()))
        language, score = self.detected
        self.fault = None
        same = sum(len(words[number]) for number in copied)  # by characters: a line may be just a name
        if same > recipe.max_copied_share * sum(map(len, words.values())):
            self.fault = Fault("copied", f"{len(copied)} of {len(words)} lines, {same} characters")
        elif language != self.language or score < recipe.language_min_score:
            self.fault = Fault(
                "wrong_language", f"{language} {score:.2f}: {next(iter(words.values()))[:_DETAIL_CHARACTERS]!r}"
            )
        if self.fault:
            guilty = [number for number in words if number in copied or languages[number][0] != self.language]
            self.open = guilty or list(words)


def problems(source: str, text: str, language: str, recipe: Translation) -> list[str]:
    """What a stored translation of an English sample lacks, judged from the texts alone; empty when it is whole."""
    english = parse(excerpt(source, recipe.max_lines))
    whole = "\n".join(line.written(SOURCE, line.text) for line in english)
    wanted, found = Counter(), Counter()
    for line in english:
        wanted.update(line.source.pieces)
        if line.label is not None:
            wanted[LABELS[language][line.label]] += 1
    for piece in wanted:
        found[piece] = text.count(piece)
    wrong = {
        "lines": text.count("\n") != whole.count("\n"),
        "pieces": any(found[piece] < number for piece, number in wanted.items()),
        "numbers": not protect.numbers_kept(whole, text),
    }
    return [name for name, is_wrong in wrong.items() if is_wrong]


def words(text: str, language: str) -> str:
    """The lines of a text in a language without its labels and without what is protected: what detectors may judge."""
    found = []
    for row in protect.lines(text):
        label = next((label for label in LABELS[language] if row.startswith(label)), "")
        found.append(protect.bare(protect.protect(row[len(label) :]).text))
    return "\n".join(line for line in found if any(map(str.isalpha, line)))


def choose(samples: pl.LazyFrame, recipe: Translation) -> pl.LazyFrame:
    """The English samples to translate: all, or the `max_samples` with the lowest id (a hash)."""
    import polars as pl

    wanted = samples.filter(pl.col("language") == SOURCE).select("id", "snapshot", "text")
    return wanted if recipe.max_samples is None else wanted.bottom_k(recipe.max_samples, by="id")


def translate(
    samples: Iterable[dict],
    recipe: Translation,
    *,
    count: CountTokens,
    room: int,
    generate: Generate,
    detect: Detect,
) -> Iterator[Draft]:
    """Every sample (id, snapshot, text) in every language, accepted or not, in the order of the samples.

    All languages of a batch of samples go to `generate` in one stream per attempt. `room` is how many tokens a line
    may have.
    """
    samples = iter(samples)
    while batch := list(itertools.islice(samples, recipe.batch_samples)):
        drafts = [draft for sample in batch for draft in _drafts(sample, recipe, count, room)]
        for _ in range(recipe.attempts):
            # Language by language: requests that follow each other share the beginning of their prompt.
            left = sorted((draft for draft in drafts if draft.open), key=lambda draft: draft.language)
            for draft, completions in answered(((d, d.requests(recipe)) for d in left), generate):
                draft.take(completions, recipe, detect)
        yield from drafts


def rows(drafts: Iterable[Draft], generator: str, count: CountTokens) -> Iterator[tuple[Table, pl.DataFrame]]:
    """Frames of web.translation_outcomes (all drafts) and web.translated_diverse_qa (those accepted), in turns."""
    drafts = iter(drafts)
    while True:  # once at least: an empty frame still has its columns
        batch = list(itertools.islice(drafts, _FRAME_ROWS))
        accepted = [draft for draft in batch if draft.accepted]
        texts = [draft.text() for draft in accepted]
        translated = [_translated(*made, generator) for made in zip(accepted, texts, count(texts), strict=True)]
        yield TRANSLATION_OUTCOMES, next(frames(map(_outcome, batch), TRANSLATION_OUTCOMES, _FRAME_ROWS + 1))
        yield TRANSLATED_DIVERSE_QA, next(frames(translated, TRANSLATED_DIVERSE_QA, _FRAME_ROWS + 1))
        if len(batch) < _FRAME_ROWS:
            return


def rejected(draft: Draft) -> Reject:
    """A draft without a translation for the quarantine, under the id of its row in web.translation_outcomes."""
    return Reject(
        _outcome_id(draft),
        draft.fault.cause,
        f"{draft.language}, sample {draft.sample['id']}, {draft.attempts} attempts: {draft.fault.detail}",
    )


@dataclass
class Tally:
    """What became of the samples in one language."""

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
        self.samples += 1
        self.accepted += draft.accepted
        self.lines += len(draft.asked)
        self.generations += len(draft.generations)
        self.output_tokens += draft.output_tokens
        self.new += draft.new
        if draft.fault:
            self.rejected[draft.fault.cause] += 1
            self.failure = self.failure or f"{draft.fault.cause}: {draft.fault.detail}"
        else:
            self.example = self.example or draft.text()


def _drafts(sample: dict, recipe: Translation, count: CountTokens, room: int) -> list[Draft]:
    lines = parse(excerpt(sample["text"], recipe.max_lines))
    asked = [number for number, line in enumerate(lines) if line.has_words]
    longest = max(count([lines[number].source.text for number in asked]), default=0)
    fault = None
    if not asked:
        fault = Fault("nothing_to_translate", f"{len(lines)} lines without words")
    elif longest > room:
        fault = Fault("line_too_long", f"a line has {longest} tokens, there is room for {room}")
    return [Draft(sample, language, lines, fault=fault, open=[] if fault else asked) for language in recipe.languages]


def _bounds(recipe: Translation, language: str, line: Protected) -> tuple[int, int]:
    """The shortest and the longest translation of a line, in characters without its pieces."""
    characters = len(protect.bare(line.text))
    low, high = recipe.length_ratios[language]
    return max(0, int(low * characters) - recipe.length_slack), int(high * characters) + recipe.length_slack


def _outcome_id(draft: Draft) -> str:
    return row_id(TRANSLATION_OUTCOMES.full_name, draft.sample["id"], draft.language)


def _outcome(draft: Draft) -> dict:
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
        "asked_lines": len(draft.asked),
        "failed_lines": 0 if draft.accepted else len(draft.faults) or len(draft.open),
        "copied_lines": draft.copied,
        "attempts": draft.attempts,
        "detected": language,
        "detected_score": score,
        "output_tokens": draft.output_tokens,
        "generation_ids": draft.generations,
    }


def _translated(draft: Draft, text: str, tokens: int, generator: str) -> dict:
    return {
        "id": row_id(TRANSLATED_DIVERSE_QA.full_name, draft.sample["id"], draft.language),
        "parents": [draft.sample["id"]],
        "snapshot": draft.sample["snapshot"],
        "language": draft.language,
        "text": text,
        "prompt": PROMPT,
        "generator": generator,
        "generation_ids": [draft.kept[number] for number in sorted(draft.kept)],
        "tokens": tokens,
    }
