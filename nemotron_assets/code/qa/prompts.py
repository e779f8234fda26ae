"""The two prompts about a snippet, and the grammars of their answers.

The method is published (Nemotron Nano 2 §2.2.2), the wording is not. The grammar "small" makes a weak model write code
that mostly parses: one function with a few assignments and a result, or one query. Its answers are checked like all
others, because they can still be wrong: a name can be a keyword.
"""

from __future__ import annotations

from nemotron_assets.generation.answers import line_pattern, sentence_pattern
from nemotron_assets.generation.code_blocks import FENCES
from nemotron_assets.generation.code_grammar import small_grammar
from nemotron_assets.recipe.code.qa import CodeQa
from resources.generations import OutputFormat, Request, Sampling

PROBLEM, SOLUTION = "code_qa_problem", "code_qa_solution"

_SYSTEM = "You are an experienced programmer who teaches others."
_ASK = """\
Below is a snippet of {language} code. Let it inspire you to a programming problem that can be solved in {language}.
- The problem must make sense to somebody who does not see the snippet; do not mention it.
- Say what is given, what is wanted, and how special cases are to be treated.
- Write the problem as plain text, without its solution.

Snippet:
{snippet}"""
_SOLVE = """\
Solve the programming problem below in {language}. Explain in a sentence how, and give the complete code between a \
line "```{fence}" and a line "```".

Problem:
{problem}"""


def template() -> str:
    """The prompt for a problem without its snippet."""
    return _ASK.format(language="", snippet="")


def problem_request(
    language: str, snippet: str, recipe: CodeQa, sample: int = 0, parents: tuple[str, ...] = ()
) -> Request:
    """The request for a problem that is inspired by a snippet."""
    task = _ASK.format(language=language, snippet=snippet)
    return _request(PROBLEM, task, recipe.max_problem_tokens, problem_grammar(recipe), recipe, sample, parents)


def solution_request(
    language: str, problem: str, recipe: CodeQa, sample: int = 0, parents: tuple[str, ...] = ()
) -> Request:
    """The request for the solution of a problem."""
    task = _SOLVE.format(language=language, fence=FENCES[language][0], problem=problem)
    grammar = solution_grammar(language, recipe)
    return _request(SOLUTION, task, recipe.max_solution_tokens, grammar, recipe, sample, parents)


def _request(
    name: str, task: str, tokens: int, grammar: str, recipe: CodeQa, sample: int, parents: tuple[str, ...]
) -> Request:
    return Request(
        name,
        (("system", _SYSTEM), ("user", task)),
        Sampling(recipe.temperature, recipe.top_p, tokens),
        OutputFormat("regex", grammar),
        sample,
        parents,
    )


def problem_grammar(recipe: CodeQa) -> str:
    """The regular expression of a problem: lines of text."""
    if recipe.max_problem_lines == 1:  # one sentence that the model ends itself
        start, spare = "(Write|Implement|Given) [a-z]", len("Implement a.")
        return sentence_pattern(start, recipe.min_problem_characters, recipe.max_problem_line - spare, without="`")
    line = line_pattern(2, recipe.max_problem_line)
    return rf"{line}(\n{{1,2}}([-*] |[0-9]{{1,2}}\. )?{line}){{0,{recipe.max_problem_lines - 1}}}"


def solution_grammar(language: str, recipe: CodeQa) -> str:
    """The regular expression of a solution: a line of text and fenced code. Unless the recipe's grammar is "small",
    more lines may stand before and after the code."""
    fence = FENCES[language][0].replace("+", r"\+")
    line = sentence_pattern("[A-Z]", 15, recipe.max_explanation_line - 2, ".:", "`")
    if recipe.grammar == "small":
        return rf"{line}\n\n```{fence}\n{small_grammar(language, recipe.max_code_lines)}\n```"
    code = rf"([^`\n][^\n]*\n|\n){{1,{recipe.max_code_lines}}}"
    more = rf"(\n{{1,2}}{line_pattern(2, recipe.max_explanation_line)}){{0,40}}"
    return rf"{line_pattern(2, recipe.max_explanation_line)}{more}\n\n```{fence}\n{code}```{more}"
