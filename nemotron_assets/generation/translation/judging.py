"""Decides whether an answer is a translation of its line, and whether a translated sample is good as a whole.

A line is judged alone: it must be complete, wrapped as asked, of a plausible length, and have the same protected pieces
and numbers. The lines together are judged by their language, and by how much was copied from English.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from nemotron_assets.generation.answers import SLACK
from nemotron_assets.generation.asking import cut_off
from nemotron_assets.generation.degenerate import loop, prompt_words, words
from nemotron_assets.generation.translation import protect
from nemotron_assets.generation.translation.languages import LABELS, SOURCE
from nemotron_assets.generation.translation.lines import Line, excerpt, parse
from nemotron_assets.generation.translation.prompt import grammar_limit, length_bounds, template
from nemotron_assets.generation.translation.protect import ProtectionError
from nemotron_assets.recipe.web.translation import Translation
from resources.generations import Completion

#: Why a sample has no translation. The first six causes fail a line, `copied` and `wrong_language` the sample.
CAUSES = {
    "truncated": "the answer was cut at its limit of tokens or characters",
    "unparsable": "the answer is not one line inside <t></t>",
    "pieces_differ": "protected pieces (code, formulas, addresses, numbers) are missing, doubled or invented",
    "numbers_differ": "the translation has other numbers than the source",
    "wrong_length": "the translation is shorter or longer than the recipe allows for the language",
    "degenerate": "the translation echoes the prompt, or is a loop that its source is not",
    "copied": "too much of the translation is a copy of the source or is in English",
    "wrong_language": "the translation is in another language",
    "line_too_long": "a line does not fit into the prompt",
    "nothing_to_translate": "no line has words",
}

#: The causes that are found before the model is asked.
UNASKED = ("line_too_long", "nothing_to_translate")

_WRAPPED = re.compile(r"<t>(.*)</t>", re.S)
_DETAIL_CHARACTERS = 200

#: Text -> (language, score from 0 to 1).
Detect = Callable[[str], tuple[str, float]]


@dataclass(frozen=True)
class Fault:
    """Why an answer or a sample is rejected. `cause` is a key of `CAUSES`, `detail` shows what was found."""

    cause: str
    detail: str


def judge_line(line: Line, completion: Completion, language: str, recipe: Translation) -> tuple[str, Fault | None]:
    """(the translation with its placeholders, None), or ("", the fault of the answer)."""
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
    if not protect.same_numbers(line.text, whole):
        return "", Fault("numbers_differ", f"{whole[:_DETAIL_CHARACTERS]!r}")
    shortest, longest = length_bounds(recipe, language, line.source)
    length = len(protect.without_placeholders(body))
    most = grammar_limit(recipe, language, line.source)
    if most - SLACK < length + len(line.source.pieces) <= most + 1:
        return "", Fault("truncated", f"{length} characters: the grammar's limit ended the line")
    if not shortest <= length <= longest:
        return "", Fault("wrong_length", f"{length} characters, not {shortest} to {longest}")
    if what := prompt_words(words(whole), template(language)) or loop(whole, line.text):
        return "", Fault("degenerate", what)
    return body, None


@dataclass(frozen=True)
class SampleVerdict:
    """The judgement of a sample whose lines have all passed. `suspects` are the lines to ask for again if there is a
    fault, `copied` is the number of copied lines, `detected` is the language of all lines together and its score."""

    fault: Fault | None
    suspects: list[int]
    copied: int
    detected: tuple[str, float]


def judge_sample(
    lines: list[Line], translations: Mapping[int, str], language: str, recipe: Translation, detect: Detect
) -> SampleVerdict:
    """Judge the translations of a sample, by line number, as a whole.

    A line is copied if it equals its source, or if it is long enough to be judged alone and the detector finds English.
    """
    words = {number: protect.without_placeholders(text) for number, text in translations.items()}
    languages = {number: detect(text) for number, text in words.items()}
    copied = [
        number
        for number, text in words.items()
        if translations[number].casefold() == lines[number].source.text.casefold()
        or (
            len(text) >= recipe.judged_line_characters
            and languages[number][0] == SOURCE
            and languages[number][1] >= recipe.language_min_score
        )
    ]
    detected, score = detect("\n".join(words.values()))
    fault = None
    same = sum(len(words[number]) for number in copied)  # in characters: a copied line may be just a name
    if same > recipe.max_copied_share * sum(map(len, words.values())):
        fault = Fault("copied", f"{len(copied)} of {len(words)} lines, {same} characters")
    elif detected != language or score < recipe.language_min_score:
        fault = Fault("wrong_language", f"{detected} {score:.2f}: {next(iter(words.values()))[:_DETAIL_CHARACTERS]!r}")
    suspects = [number for number in words if number in copied or languages[number][0] != language]
    return SampleVerdict(fault, suspects or list(words), len(copied), (detected, score))


def problems(source: str, text: str, language: str, recipe: Translation) -> list[str]:
    """What is wrong with a stored translation of an English sample: some of "lines", "pieces" and "numbers".

    Only the two texts are compared, without placeholders. The list is empty for a good translation.
    """
    english = parse(excerpt(source, recipe.max_lines))
    whole = "\n".join(line.render(SOURCE, line.text) for line in english)
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
        "numbers": not protect.same_numbers(whole, text),
    }
    return [name for name, is_wrong in wrong.items() if is_wrong]
