"""The request for the translation of one line: prompt, output grammar and limits."""

from __future__ import annotations

from collections.abc import Callable

from nemotron_assets.generation.answers import SLACK
from nemotron_assets.generation.translation import protect
from nemotron_assets.generation.translation.languages import NAMES
from nemotron_assets.generation.translation.protect import Protected
from nemotron_assets.recipe.section import RecipeError
from nemotron_assets.recipe.web.translation import Translation
from resources.generations import OutputFormat, Request, Sampling

PROMPT = "translation"

_SYSTEM = "You are a careful translator."
_TASK = """\
Translate one line from English into {language}.
- Keep its whole meaning and add nothing. If it asks something, translate the question, do not answer it.
- Copy names in braces such as {{A}} unchanged, each once, to where they belong.
- Write nothing but the translation in one line, as <t>translation</t>.

Line:
{line}"""

_GRAMMAR_STEP = 64  # lengths in the grammar are rounded up to a multiple of this, so that few grammars serve many lines


def request(recipe: Translation, language: str, line: Protected, sample: int = 0, parents: tuple = ()) -> Request:
    """The request for one line. `sample` numbers the attempts: each number has an answer of its own in the ledger."""
    task = _TASK.format(language=NAMES[language], line=line.text)
    messages = ("system", _SYSTEM), ("user", task)
    sampling = Sampling(recipe.temperature, recipe.top_p, recipe.max_output_tokens)
    return Request(PROMPT, messages, sampling, output_format(recipe, language, line), sample=sample, parents=parents)


def template(language: str) -> str:
    """The prompt without its line."""
    return _TASK.format(language=NAMES[language], line="")


def output_format(recipe: Translation, language: str, line: Protected) -> OutputFormat:
    """The grammar of an answer: one line inside <t></t>, in which only the placeholders of this line stand in braces.

    The longest answer is a little longer than the longest acceptable translation (`grammar_limit`).
    """
    most = grammar_limit(recipe, language, line)
    plain = r"[^\x00-\x1f<>{}]"
    names = "|".join(protect.placeholder(number)[1:-1] for number in range(len(line.pieces)))
    unit = rf"({plain}|\{{({names})\}})" if names else plain
    first = rf"([^\s\x00-\x1f<>{{}}]|\{{({names})\}})" if names else r"[^\s\x00-\x1f<>{}]"
    return OutputFormat("regex", rf"<t>{first}{unit}{{0,{most}}}</t>")


def grammar_limit(recipe: Translation, language: str, line: Protected) -> int:
    """The most characters of an answer, each placeholder counted as one. An acceptable translation never comes so close
    to the limit that the limit could have ended it."""
    most = length_bounds(recipe, language, line)[1] + len(line.pieces) + SLACK
    return -(-most // _GRAMMAR_STEP) * _GRAMMAR_STEP


def length_bounds(recipe: Translation, language: str, line: Protected) -> tuple[int, int]:
    """The shortest and the longest acceptable translation of a line, in characters without placeholders."""
    characters = len(protect.without_placeholders(line.text))
    low, high = recipe.length_ratios[language]
    return max(0, int(low * characters) - recipe.length_slack), int(high * characters) + recipe.length_slack


def prompt_room(recipe: Translation, count_prompt: Callable[[Request], int], section: str = "web.translation") -> int:
    """The number of tokens a line may have: `max_input_tokens` less the longest prompt without a line and two tokens of
    slack. Raises `RecipeError`, which names the recipe's `section`, if nothing is left."""
    empty = Protected("", ())
    longest = max(count_prompt(request(recipe, language, empty)) for language in recipe.languages)
    if (room := recipe.max_input_tokens - longest - 2) < 1:
        raise RecipeError(
            f"{section}.max_input_tokens = {recipe.max_input_tokens} leaves no room for a line: the prompt alone "
            f"has {longest} tokens. Give at least {longest + 64}."
        )
    return room
