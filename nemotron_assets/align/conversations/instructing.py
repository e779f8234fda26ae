"""Composes instructions of IFEval's kinds for a request, in the words of IFEval, each with a program that checks it.

Runs in a bounded process of its own (`nemotron_assets.grading.process`), which loads IFEval once and without a
download. What is composed depends on the seed and the request alone.
"""

from __future__ import annotations

import string
from collections.abc import Callable
from random import Random
from typing import Any

from nemotron_assets.grading.instructions import described, load, registry

__all__ = ["ARGUMENTS", "compose", "load"]

_RELATIONS = ("less than", "at least")
_LANGUAGES = ("de", "en", "es", "fr", "it", "pt")
_ENDS = ("That is all.", "Is there anything else?", "Thank you for asking.")


def _keywords(random: Random, number: int) -> list[str]:
    return random.sample(registry().instructions.instructions_util.WORD_LIST, number)


def _nothing(_: Random, __: str) -> dict[str, Any]:
    return {}


#: {IFEval's name of an instruction: its arguments, drawn for a request}. Two kinds are left out:
#: response_language with a language that the request does not have is asked of models that know it, and two_responses
#: conflicts with nearly all others.
ARGUMENTS: dict[str, Callable[[Random, str], dict[str, Any]]] = {
    "keywords:existence": lambda r, _: {"keywords": _keywords(r, 2)},
    "keywords:frequency": lambda r, _: {
        "keyword": _keywords(r, 1)[0], "frequency": r.randint(1, 3), "relation": r.choice(_RELATIONS)
    },
    "keywords:forbidden_words": lambda r, _: {"forbidden_words": _keywords(r, 2)},
    "keywords:letter_frequency": lambda r, _: {
        "letter": r.choice(string.ascii_lowercase), "let_frequency": r.randint(2, 8),
        "let_relation": r.choice(_RELATIONS),
    },
    "language:response_language": lambda r, _: {"language": r.choice(_LANGUAGES)},
    "length_constraints:number_sentences": lambda r, _: {
        "num_sentences": r.randint(2, 6), "relation": r.choice(_RELATIONS)
    },
    "length_constraints:number_paragraphs": lambda r, _: {"num_paragraphs": r.randint(2, 4)},
    "length_constraints:number_words": lambda r, _: {"num_words": r.randint(10, 80), "relation": r.choice(_RELATIONS)},
    "length_constraints:nth_paragraph_first_word": lambda r, _: {
        "num_paragraphs": 2, "nth_paragraph": r.randint(1, 2), "first_word": _keywords(r, 1)[0]
    },
    "detectable_content:number_placeholders": lambda r, _: {"num_placeholders": r.randint(1, 3)},
    "detectable_content:postscript": lambda r, _: {"postscript_marker": r.choice(("P.S.", "P.P.S"))},
    "detectable_format:number_bullet_lists": lambda r, _: {"num_bullets": r.randint(2, 5)},
    "detectable_format:constrained_response": _nothing,
    "detectable_format:number_highlighted_sections": lambda r, _: {"num_highlights": r.randint(1, 3)},
    "detectable_format:multiple_sections": lambda r, _: {
        "section_spliter": r.choice(("Section", "SECTION")), "num_sections": r.randint(2, 3)
    },
    "detectable_format:json_format": _nothing,
    "detectable_format:title": _nothing,
    "combination:two_responses": _nothing,
    "combination:repeat_prompt": lambda _, request: {"prompt_to_repeat": request},
    "startend:end_checker": lambda r, _: {"end_phrase": r.choice(_ENDS)},
    "startend:quotation": _nothing,
    "change_case:capital_word_frequency": lambda r, _: {
        "capital_frequency": r.randint(1, 3), "capital_relation": r.choice(_RELATIONS)
    },
    "change_case:english_capital": _nothing,
    "change_case:english_lowercase": _nothing,
    "punctuation:no_comma": _nothing,
}  # fmt: skip


def compose(asked: dict[str, Any]) -> dict[str, Any]:
    """{"text": the instructions in words, "instructions": what checks them} for {"seed", "most", "request"}: one to
    `most` instructions, no two of which conflict. "kinds" names those that are drawn from (None: all)."""
    ifeval = registry()
    random = Random(f"{asked['seed']} {asked['request']}")
    conflicts = ifeval.conflict_make({name: set(others) for name, others in ifeval.INSTRUCTION_CONFLICTS.items()})
    chosen, wanted = [], random.randint(1, asked["most"])
    kinds = asked["kinds"] or sorted(ARGUMENTS)
    for name in random.sample(kinds, len(kinds)):
        if len(chosen) < wanted and not any(name in conflicts[other] for other in chosen):
            chosen.append(name)
    instructions = [{"id": name, "arguments": ARGUMENTS[name](random, asked["request"])} for name in chosen]
    return {"text": described(instructions), "instructions": instructions}
