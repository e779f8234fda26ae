"""The grammar of small programs, by which a weak model writes code that mostly parses: one function, or one query."""

from __future__ import annotations

from nemotron_assets.generation.code_blocks import FENCES

_NAME = "[a-z][a-z0-9_]{1,16}"
_NUMBER = "(0|[1-9][0-9]{0,2})"  # 08 is not a valid number in PHP and other languages


def small_grammar(language: str, lines: int, fewest: int = 1) -> str:
    """The regular expression of a function with `fewest` to `lines` - 1 assignments and a result, or of an SQL query.

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
    most = max(1, fewest, lines - 1)

    def body(assignment: str, result: str) -> str:
        return rf"(    {assignment}\n){{{fewest},{most}}}    {result}\n"

    def typed(kind: str) -> str:
        return rf"{kind} {_NAME}(, {kind} {_NAME})?"

    def braces(head: str, assignment: str, result: str) -> str:
        return rf"{head} \{{\n{body(assignment, result)}\}}"

    kind = r"(int|double)"
    match language:
        case "Python":
            head = rf"def {_NAME}\({_NAME}(, {_NAME})?\):\n"
            return head + rf"(    {_NAME} = {value}\n){{{fewest},{most}}}    return {value}"
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
    raise ValueError(f"{language!r} does not have a small grammar; these languages have: {', '.join(FENCES)}")
