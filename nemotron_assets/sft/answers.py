"""Decides whether what a model wrote can be used at all, before anybody asks whether it is right.

An output grammar makes a weak model write the asked form, but an endpoint may ignore grammars. So every text is checked
here: it is complete, not too long, not damaged, in the asked language, not a refusal, and without text that speaks to
whoever reads the data instead of answering, such as "ignore the instructions; status: verified". A text that fails is a
reject; it never becomes a row.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from nemotron_assets.generation.answers import cut_sentence, ends_abruptly
from nemotron_assets.generation.asking import cut_off
from nemotron_assets.recipe.sft.sampling import Sampled
from nemotron_assets.sft.formats import THINK_CLOSE, THINK_OPEN
from resources.generations import Completion

#: Why an answer cannot be used.
CAUSES = (
    "truncated", "too_long", "empty", "damaged", "refused", "injected", "wrong_language", "unparsable", "no_reasoning",
    "too_short",
)  # fmt: skip

_SHOWN = 200  # characters of an answer that a detail quotes
_JUDGED = 4_000  # characters of an answer that the language detector reads
_FEWEST_WORDS = 3  # with fewer words, a language cannot be detected
_MANY_WORDS = 6
_LEAST_SCORE, _SURE_SCORE = 0.3, 0.8  # of the detector, for many words and for few
_TOKEN_CHARACTERS = 20  # more per token means that the endpoint does not count its tokens, or did not keep to the limit
_LEAST_REASONING = 8  # characters of reasoning, without tags and white space

# An apology counts at the start of a line: in the middle of a story somebody may be sorry.
_REFUSAL = re.compile(
    r"^[ \t>*#-]*(?:(?:answer|response|question|[A-J])[:.)] ?)?(?:i(?:['’]m| am) (?:(?:very|really|so|truly) )?"
    r"(?:sorry|afraid|unable)\b|sorry,? (?:but )?i\b|i (?:sincerely )?apologi[sz]e\b|my apologies\b)"
    r"|\bas an? (?:ai|artificial intelligence|(?:large )?language model)\b|\bi(?:['’]m| am) (?:just |only )?an? "
    r"(?:ai\b|(?:large )?language model)|\bi (?:can(?:not|['’]t)|am (?:not able|unable) to|won['’]t be able to) "
    r"(?:help\b(?! but)|assist|comply|fulfil|answer (?:this|that)|provide (?:this|that)|do that)\b"
    r"|\bi (?:(?:must|have to) (?:respectfully )?decline|(?:won['’]t|will not) (?:help|assist|answer) (?:with )?"
    r"(?:this|that|you)|(?:do not|don['’]t|am not) (?:feel )?comfortable (?:answering|with (?:this|that)))\b",
    re.I | re.M,
)
_INJECTION = re.compile(
    r"\b(?:ignore|disregard|forget|override)\b[^.\n]{0,40}\b(?:instructions?|prompts?|guidelines|system message|above|"
    r"previous|preceding|prior|before)\b|\bstatus\W{1,6}(?:(?:to|is|as|becomes) )?\W{0,3}(?:verified|majority|judged)\b"
    r"|\bverified_by\b|\bsystem prompt\b|\b(?:mark|label|accept|count|treat) (?:this|it|the (?:row|answer)) as "
    r"(?:verified|correct|right|true)\b|\b(?:verified|is_correct)\W{1,4}true\b",
    re.I,
)
#: Marks of chat templates and of the published formats. In a text they would begin a turn that nobody wrote.
_MARKUP = re.compile(
    r"<\|[^|\n]{1,40}\|>|</?extra_id_\d+>|\[/?INST\]|<</?SYS>>|</?think>|<(?:start|end)_of_turn>"
    r"|^[ \t]*#{2,6}[ \t]*(?:instruction|response|human|user|assistant|system)s?[ \t]*:",
    re.I | re.M,
)
_MATHS = re.compile(r"\$[^$\n]{0,400}\$|\\[a-zA-Z]+|```.*?```", re.S)
_CODE = re.compile(r"```.*?```", re.S)
_LABEL = re.compile(r"^(?:[A-Z][a-z]{1,20}: |[-*] |[A-J]\. )")
_TAG = re.compile(r"<[^<>\n]{1,40}>")
_WORD = re.compile(r"[^\W\d_]{2,}")
_THOUGHT = re.compile(rf"\s*{THINK_OPEN}(.*?){THINK_CLOSE}(.*)", re.S)


@dataclass(frozen=True)
class Fault:
    """Why a text cannot be used: one of `CAUSES` (or a cause of the caller's own), and what was found."""

    cause: str
    detail: str


@dataclass(frozen=True)
class Thought:
    """An answer in two parts: the reasoning between its tags, and the answer after it."""

    reasoning: str
    answer: str


def read(completion: Completion, limits: Sampled, language: str = "en") -> str | Fault:
    """The text of a completion without white space around it, or why it cannot be used. It may hold one pair of
    reasoning tags, which `thought` takes apart."""
    text = completion.text.strip()
    if completion.finish_reason not in ("stop", "length"):
        return Fault("refused", f"the endpoint ended the answer: {completion.finish_reason[:40]!r}")
    if why := cut_off(completion, limits.max_output_tokens):
        return Fault("truncated", why)
    most = min(limits.max_characters, _TOKEN_CHARACTERS * limits.max_output_tokens)
    return text_fault(text, most, language) or cut_line(text, limits) or text


def cut_line(text: str, limits: Sampled) -> Fault | None:
    """A fault if the limit of the grammar, not the model, ended a line of a text. Lines of code have no such limit, and
    labels ("Answer:", "- ", "A.") do not count."""
    if not limits.enforce_form:
        return None
    for line in _CODE.sub("", text).split("\n"):
        value = _LABEL.sub("", line.strip())
        if len(value) <= limits.max_line + 2 and ends_abruptly(value, limits.max_line):
            return Fault(
                "truncated", f"a line has {len(value)} characters of at most {limits.max_line}: {value[-80:]!r}"
            )
    return None


def cut_question(text: str, limits: Sampled) -> Fault | None:
    """A fault if the limit of the grammar ended the first line of a question that a grammar makes end in a mark."""
    line = text.strip().split("\n")[0]
    if limits.enforce_form and cut_sentence(line, limits.max_line):
        return Fault(
            "truncated", f"the question has {len(line)} characters of at most {limits.max_line}: {line[-80:]!r}"
        )
    return None


def text_fault(text: str, most_characters: int, language: str = "en") -> Fault | None:
    """Why a text of a model cannot be used, or None. Reasoning tags are the only markup that it may hold."""
    if not text.strip():
        return Fault("empty", "the answer has no text")
    if len(text) > most_characters:
        return Fault("too_long", f"{len(text):,} characters of at most {most_characters:,}: {_quoted(text)}")
    if bad := next(filter(_is_damage, text), ""):
        return Fault("damaged", f"the answer has the character U+{ord(bad):04X}: {_quoted(text)}")
    # The reasoning and the answer may each be a refusal, so everything is looked through.
    # Letters of double width and signs without any would hide words from a pattern, and not from a model.
    plain = unicodedata.normalize("NFKC", "".join(sign for sign in text if unicodedata.category(sign) != "Cf"))
    if found := _REFUSAL.search(plain):
        return Fault("refused", f"{found[0]!r} in {_quoted(text)}")
    if found := _INJECTION.search(plain):
        return Fault("injected", f"{found[0]!r} in {_quoted(text)}")
    if found := _MARKUP.search(plain.replace(THINK_OPEN, " ", 1).replace(THINK_CLOSE, " ", 1)):
        return Fault("injected", f"the mark {found[0]!r} in {_quoted(text)}")
    return language_fault(text.replace(THINK_OPEN, " ", 1).replace(THINK_CLOSE, " ", 1), language)


def language_fault(text: str, language: str) -> Fault | None:
    """A fault if a text, or for English one of its lines, is in another language. Formulas and code do not count. Of a
    text with one or two words only the script is judged: "42 km" passes, "пять километров" does not."""
    plain = _MATHS.sub(" ", text[:_JUDGED])
    words = _WORD.findall(plain)
    if len(words) < _FEWEST_WORDS:
        letters = [letter for word in words for letter in word]
        foreign = sum(1 for letter in letters if not unicodedata.name(letter, "").startswith("LATIN"))
        if language == "en" and foreign * 2 > len(letters):
            return Fault("wrong_language", f"not in Latin script: {_quoted(text)}")
        return None
    if language != "en":  # the detector confuses short texts of related languages, such as Danish and Norwegian
        return _foreign(words, language, _LEAST_SCORE) if len(words) >= _MANY_WORDS else None
    least = _LEAST_SCORE if len(words) >= _MANY_WORDS else _SURE_SCORE
    return _foreign(words, language, least) or next(
        filter(None, (_foreign(_WORD.findall(line), language, _SURE_SCORE) for line in plain.split("\n"))), None
    )


def _foreign(words: list[str], language: str, least: float) -> Fault | None:
    """A fault if the detector finds another language with at least this score in at least `_FEWEST_WORDS` words."""
    from nemotron_assets.text.language import detect

    if len(words) < _FEWEST_WORDS:
        return None
    found, score = detect(" ".join(words), "lite", _JUDGED)
    if found == language or score < least:
        return None
    return Fault("wrong_language", f"{found} ({score:.2f}) instead of {language}: {_quoted(' '.join(words))}")


def thought(text: str) -> Thought | Fault:
    """The parts of an answer that begins with one pair of reasoning tags and goes on after it. Neither part may be
    empty, and no other tag may stand in either."""
    found = _THOUGHT.fullmatch(text)
    if found is None:
        return Fault("no_reasoning", f"the answer does not begin with {THINK_OPEN} … {THINK_CLOSE}: {_quoted(text)}")
    reasoning, answer = found[1].strip(), found[2].strip()
    if any(tag in part for tag in (THINK_OPEN, THINK_CLOSE) for part in (reasoning, answer)):
        return Fault("unparsable", f"a second reasoning tag: {_quoted(text)}")
    if len("".join(_TAG.sub("", reasoning).split())) < _LEAST_REASONING:
        return Fault("no_reasoning", f"the reasoning is empty: {_quoted(text)}")
    if not answer:
        return Fault("empty", f"nothing follows the reasoning: {_quoted(text)}")
    return Thought(reasoning, answer)


def _is_damage(character: str) -> bool:
    if character in "\n\t\r":
        return False
    return character == "\ufffd" or unicodedata.category(character) in ("Cc", "Cs", "Co")


def _quoted(text: str) -> str:
    return repr(text[:_SHOWN])
