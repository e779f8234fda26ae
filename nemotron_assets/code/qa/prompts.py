"""The two prompts about a snippet, and the grammars of their answers.

The method is published (Nemotron Nano 2 §2.2.2), the wording is not. The grammar "small" makes a weak model write code
that mostly parses: one function with a few assignments and a result, or one query. Its answers are checked like all
others, because they can still be wrong: a name can be a keyword.
"""

from __future__ import annotations

from nemotron_assets.generation.answers import line_pattern
from nemotron_assets.generation.code_blocks import FENCES
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
    if recipe.max_problem_lines == 1:  # one or two sentences that the model ends itself
        return rf"(Write|Implement|Given) [a-z][^\n`]{{{recipe.min_problem_characters},{recipe.max_problem_line}}}[.?]"
    line = line_pattern(2, recipe.max_problem_line)
    return rf"{line}(\n{{1,2}}([-*] |[0-9]{{1,2}}\. )?{line}){{0,{recipe.max_problem_lines - 1}}}"


def solution_grammar(language: str, recipe: CodeQa) -> str:
    """The regular expression of a solution: a line of text and fenced code. Unless the recipe's grammar is "small",
    more lines may stand before and after the code."""
    fence, line = FENCES[language][0].replace("+", r"\+"), rf"[A-Z][^\n`]{{15,{recipe.max_explanation_line}}}[.:]"
    if recipe.grammar == "small":
        return rf"{line}\n\n```{fence}\n{small_grammar(language, recipe.max_code_lines)}\n```"
    code = rf"([^`\n][^\n]*\n|\n){{1,{recipe.max_code_lines}}}"
    more = rf"(\n{{1,2}}{line_pattern(2, recipe.max_explanation_line)}){{0,40}}"
    return rf"{line_pattern(2, recipe.max_explanation_line)}{more}\n\n```{fence}\n{code}```{more}"


_NAME = "[a-z][a-z0-9_]{1,16}"
_NUMBER = "(0|[1-9][0-9]{0,2})"  # 08 is not a valid number in PHP and other languages


def small_grammar(language: str, lines: int) -> str:
    """The regular expression of a function with at most `lines` - 1 assignments and a result, or of an SQL query.

    Raises `ValueError` for a language without a small grammar.
    """
    if language == "SQL":
        condition = rf"{_NAME} (=|<|>|<=|>=) ({_NUMBER}|'[a-z]{{1,12}}')"
        return (
            rf"SELECT {_NAME}(, {_NAME}){{0,3}}(, (COUNT|SUM|MIN|MAX|AVG)\({_NAME}\))?\nFROM {_NAME}"
            rf"(\nWHERE {condition}( AND {condition})?)?(\nGROUP BY {_NAME})?(\nORDER BY {_NAME}( DESC)?)?;"
        )
    name = rf"\${_NAME}" if language == "PHP" else _NAME
    simple = rf"({name}|{_NUMBER})"
    call = rf"{_NAME}\({name}(, {simple})?\)"
    value = rf"({simple}|{call})( [+*-] {simple}){{0,2}}"
    most = max(1, lines - 1)

    def body(assignment: str, result: str) -> str:
        return rf"(    {assignment}\n){{1,{most}}}    {result}\n"

    def typed(kind: str) -> str:
        return rf"{kind} {_NAME}(, {kind} {_NAME})?"

    def braces(head: str, assignment: str, result: str) -> str:
        return rf"{head} \{{\n{body(assignment, result)}\}}"

    kind = r"(int|double)"
    match language:
        case "Python":
            head = rf"def {_NAME}\({_NAME}(, {_NAME})?\):\n"
            return head + rf"(    {_NAME} = {value}\n){{1,{most}}}    return {value}"
        case "C" | "C++":
            return braces(rf"{kind} {_NAME}\({typed(kind)}\)", rf"{kind} {_NAME} = {value};", rf"return {value};")
        case "C#" | "Java":
            head = rf"public static {kind} {_NAME}\({typed(kind)}\)"
            return braces(head, rf"{kind} {_NAME} = {value};", rf"return {value};")
        case "JavaScript":
            head = rf"function {_NAME}\({_NAME}(, {_NAME})?\)"
            return braces(head, rf"const {_NAME} = {value};", rf"return {value};")
        case "TypeScript":
            head = rf"function {_NAME}\({_NAME}: number(, {_NAME}: number)?\): number"
            return braces(head, rf"const {_NAME}: number = {value};", rf"return {value};")
        case "Go":
            head = rf"func {_NAME}\({_NAME} int(, {_NAME} int)?\) int"
            return braces(head, rf"{_NAME} := {value}", rf"return {value}")
        case "Rust":
            head = rf"fn {_NAME}\({_NAME}: i64(, {_NAME}: i64)?\) -> i64"
            return braces(head, rf"let {_NAME} = {value};", rf"return {value};")
        case "PHP":
            head = rf"<\?php\nfunction {_NAME}\({name}(, {name})?\)"
            return braces(head, rf"{name} = {value};", rf"return {value};")
    raise ValueError(f"there is no small grammar for {language!r}; it exists for: {', '.join(FENCES)}")
