"""Decides whether an answer follows the instructions of its prompt: the checkers of IFEval, from lm-evaluation-harness.

Four things differ from the harness:
 - The harness downloads data for NLTK when it is imported. Here it does not, and the two instructions that need the
   data (sentences, words in capitals) use `sentences` and `words` of this module. Their verdicts say so.
 - An instruction with a missing argument is an error. The harness draws a random argument.
 - An answer whose language cannot be told does not follow an instruction about its language. The harness takes such an
   answer for right, so that "1 2 3" would be German.
 - The detection of languages has a fixed seed.

The expressions of some checkers need time that grows with the square of the answer's length, so this runs in a bounded
process. An answer follows its instructions if it follows all of them (IFEval's strict rule).
"""

from __future__ import annotations

import contextlib
import functools
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

from nemotron_assets.grading.process import ProcessGrader
from nemotron_assets.grading.verdict import Undecided

if TYPE_CHECKING:
    from nemotron_assets.recipe.grading import Grading

BY = "ifeval"
#: The checkers that count with this module's `sentences` or `words`.
OWN_SPLITTER = frozenset(("length_constraints:number_sentences", "change_case:capital_word_frequency"))
_OF_LANGUAGE = frozenset(
    ("language:response_language", "change_case:english_capital", "change_case:english_lowercase")
)  # fmt: skip

_END = re.compile(r"[.!?…。！？]+[\"'”’)\]]{0,3}(?=\s|$)|[。！？]")
_ABBREVIATION = re.compile(
    r"(?:^|[\s(])(?:[A-Za-z]|Mr|Mrs|Ms|Dr|Prof|St|vs|etc|e\.g|i\.e|cf|No|Fig|Inc|Ltd|Co|Jr|Sr|a\.m|p\.m)\.$"
)
_WORD = re.compile(r"\w+(?:['’-]\w+)*")
_SAMPLE = ("one, two", [{"id": "keywords:existence", "arguments": {"keywords": ["two"]}}])


def grader(limits: Grading, undecided: Undecided = "error") -> ProcessGrader:
    """A grader of pairs (answer, instructions). Instructions are a list of {"id": IFEval's name, "arguments"}."""
    return ProcessGrader(BY, load, judge, _SAMPLE, limits, undecided)


def load() -> None:
    """Import the checkers, so that the first answer does not wait for them."""
    registry()


@functools.cache
def registry() -> ModuleType:
    """IFEval's registry of checkers: without a download, without randomness, and without what the checkers do not use,
    which takes four times as long to import: packages that NLTK has more functions with, and the harness's manager of
    tasks."""
    with _hidden("sklearn", "scipy"):
        import nltk
    import lm_eval

    tasks = ModuleType("lm_eval.tasks")
    tasks.__path__ = [str(Path(lm_eval.__file__).with_name("tasks"))]
    find, nltk.data.find = nltk.data.find, lambda *_, **__: ""  # the import asks for data, and downloads it if missing
    try:
        with _in_place("lm_eval.tasks", tasks):
            from lm_eval.tasks.ifeval import instructions_registry, instructions_util
    finally:
        nltk.data.find = find
    import langdetect

    langdetect.DetectorFactory.seed = 0
    instructions_util.nltk = SimpleNamespace(tokenize=nltk.tokenize, word_tokenize=words)
    instructions_util.count_sentences = lambda text: len(sentences(text))
    return instructions_registry


@contextlib.contextmanager
def _hidden(*names: str) -> Iterator[None]:
    """Packages as if they were not installed, unless they are loaded already."""
    with contextlib.ExitStack() as stack:
        for name in names:
            if name not in sys.modules:
                stack.enter_context(_in_place(name, None))
        yield


@contextlib.contextmanager
def _in_place(name: str, module: ModuleType | None) -> Iterator[None]:
    """A module in the place of another one; None: importing it fails."""
    before = sys.modules.get(name)
    sys.modules[name] = module  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[name]
        if before is not None:
            sys.modules[name] = before


def judge(answer: str, instructions: list[dict[str, Any]]) -> tuple[str, str | None]:
    """right, wrong or error, and the reason. It may take any time: `grader` bounds it."""
    if not isinstance(instructions, list) or not instructions:
        return "error", f"the prompt has no list of instructions: {instructions!r:.100}"
    missed = []
    for one in instructions:
        name, given = one["id"], one.get("arguments") or {}
        try:
            checker = _checker(name, given)
        except (KeyError, TypeError, ValueError) as error:
            return "error", f"the instruction {name!r:.60} with {given!r:.120} cannot be checked: {error!r:.200}"
        if not (answer.strip() and _told(name, answer) and checker.check_following(answer)):
            missed.append(f"{name} (own splitter)" if name in OWN_SPLITTER else name)
    return ("wrong", f"not followed: {', '.join(missed)}") if missed else ("right", None)


def _checker(name: str, given: dict[str, Any]) -> Any:
    """IFEval's checker of an instruction. Raises ValueError for arguments that are missing or that it does not have,
    and what the checker raises for a value that it cannot use."""
    known = registry().INSTRUCTION_DICT
    if name not in known:
        raise ValueError(f"IFEval has no instruction {name!r:.60}, but {', '.join(sorted(known))}")
    checker = known[name](name)
    wanted = set(checker.get_instruction_args_keys())
    if wanted != {key for key, value in given.items() if value is not None}:
        raise ValueError(f"it needs the arguments {', '.join(sorted(wanted)) or '(none)'}")
    checker.build_description(**given)
    return checker


def _told(name: str, answer: str) -> bool:
    """Whether the language of an answer can be told, if the instruction is about it."""
    import langdetect

    if name not in _OF_LANGUAGE:
        return True
    try:
        langdetect.detect(answer)
    except langdetect.LangDetectException:
        return False
    return True


def described(instructions: list[dict[str, Any]]) -> str:
    """The instructions as sentences, as IFEval puts them. Raises ValueError for an instruction that cannot be
    checked."""
    return " ".join(_checker(one["id"], one["arguments"]).build_description(**one["arguments"]) for one in instructions)


def sentences(text: str) -> list[str]:
    """The sentences of a text: up to a full stop, question or exclamation mark before white space. A stop after an
    initial or a common abbreviation ("Dr.", "e.g.") ends no sentence."""
    found, start = [], 0
    for end in _END.finditer(text):
        if end[0].startswith(".") and _ABBREVIATION.search(text, max(start, end.start() - 8), end.start() + 1):
            continue
        found.append(text[start : end.end()])
        start = end.end()
    return [sentence.strip() for sentence in (*found, text[start:]) if _WORD.search(sentence)]


def words(text: str) -> list[str]:
    """The words of a text; "don't" and "well-known" are one word each."""
    return _WORD.findall(text)
