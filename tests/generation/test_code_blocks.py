"""Code is extracted from the fenced blocks of free answers, with markdown-it-py as a reference."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from nemotron_assets.code.qa.solving import text_of
from nemotron_assets.generation import code_blocks

CASES = {
    "tildes": ("~~~python\nx = 1\n~~~", "x = 1"),
    "backticks in tildes": ("~~~python\ns = '''\n```\n'''\n~~~", "s = '''\n```\n'''"),
    "longer fence": ("````python\ns = '''\n```\n'''\n````", "s = '''\n```\n'''"),
    "closed by a longer one": ("```python\nx = 1\n`````", "x = 1"),
    "title": ('```python title="a.py" linenums=1\nx = 1\n```', "x = 1"),
    "class": ("```{.python .numberLines}\nx = 1\n```", "x = 1"),
    "lines": ("```python {1,2}\nx = 1\n```", "x = 1"),
    "file name": ("```python:main.py\nx = 1\n```", "x = 1"),
    "space before the name": ("``` Python\nx = 1\n```", "x = 1"),
    "in a list": ("1. Do:\n\n   ```python\n   if x:\n       y = 1\n   ```", "if x:\n    y = 1"),
    "windows": ("```python\r\nx = 1\r\n\r\ny = 2\r\n```\r\n", "x = 1\n\ny = 2"),
    "inline": ("Say ```x``` or\n```not a fence`\n```python\nx = 1\n```", "x = 1"),
    "two": ("```python\nx = 1\n```\nand\n```py\ny = 2\n```", "x = 1\n\ny = 2"),
    "output": ("```python\nprint(1)\n```\nprints\n```\n1\n```", "print(1)"),
    "no name": ("```\nx = 1\n```", "x = 1"),
    "another language": ("```javascript\nx = 1\n```", None),
    "a name that begins alike": ("```pythonic\nx = 1\n```", None),
    "not closed": ("```python\nx = 1", None),
    "second not closed": ("```python\nx = 1\n```\n```python\ny = 2", None),
    "closed by the other kind": ("```python\nx = 1\n~~~", None),
    "closed by a shorter one": ("````python\nx = 1\n```", None),
    "nested without a longer fence": ("```markdown\n```python\nx = 1\n```\n```", None),
    "text behind the closing fence": ("```python\nx = 1\n``` done", None),
    "empty": ("```python\n\n  \n```", None),
}


@pytest.mark.parametrize("name", CASES)
def test_fences(name):
    answer, code = CASES[name]
    assert code_blocks.extract_code(answer, "Python") == code
    assert code_blocks.extract_code(f"Explained.\n\n{answer}\n\nThat is all.", "Python") == code
    assert code_blocks.has_fence(answer)


PIECES = st.sampled_from(
    ["```", "````", "~~~", "~~~~", "```python", "~~~ python x", "```sh", "x = 1", "    y = 2", "", "text", "` `` ```a`"]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, max_size=14))
def test_blocks_are_those_of_a_markdown_parser(lines):
    answer = "\n".join(lines)
    tokens = MarkdownIt().parse(answer + "\n\nend")
    if tokens[-1].type == "fence":  # "end" is in a block that was never closed
        assert code_blocks._blocks(answer) is None
        return
    blocks = [(t.info.strip().partition(" ")[0], t.content.strip("\n")) for t in tokens if t.type == "fence"]
    assert code_blocks._blocks(answer) == [(name, code) for name, code in blocks if code.strip()]


@settings(max_examples=200, deadline=None)
@given(st.lists(PIECES, max_size=10), st.lists(PIECES, max_size=10))
def test_the_code_of_an_answer_is_that_of_the_text_it_becomes(problem, answer):
    """The check of code.qa relies on this."""
    problem, answer = "\n".join(problem).strip(), "\n".join(answer).strip()
    if not code_blocks.has_fence(problem):
        assert code_blocks.extract_code(text_of(problem, answer), "Python") == code_blocks.extract_code(
            answer, "Python"
        )


def test_huge_answers_are_read_in_one_pass():
    """A hundred thousand lines: a search that starts anew at every fence would not come back."""
    for line in ("```", "```python", "~~~~", "`" * 400, " " * 400, "```python\nx = 1\n```"):
        code_blocks.extract_code("\n".join([line] * 20_000), "Python")
    code_blocks.extract_code("`" * 5_000_000, "Python")
    code_blocks.extract_code("```python\n" + "x" * 5_000_000 + "\n```", "Python")
