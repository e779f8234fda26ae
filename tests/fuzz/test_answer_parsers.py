"""Hostile answers of a language model: question lists, rephrased texts, translations, code, cleaned-up formulas."""

from __future__ import annotations

import pytest

from nemotron_assets.generation import code_blocks
from nemotron_assets.generation.answers import strip_markdown
from nemotron_assets.generation.translation import judging, lines, protect
from nemotron_assets.math import clean
from nemotron_assets.recipe import load_recipe
from nemotron_assets.web.synthetic import diverse_qa, rephrase
from nemotron_assets.web.synthetic.prompts import PROMPTS
from resources.generations import Completion
from tests.fuzz.hostile import fuzz

RECIPE = load_recipe("laptop").web
SOURCE = "The {A} has 7 legs and `code` at https://a.example/, see $x^2$."
LINE = lines.parse(f"Question: {SOURCE}")[0]
CHUNK = "Some words and $x^2$ with\n\n```\ncode\n```\nand $$\\frac{a}{b}$$ more words."

ANSWERS = [
    (
        f"{PROMPTS['diverse_qa'].marker}\n- Question: What is it?\n  Answer: **It** is a thing.\n"
        "- Question 2: A) b B) c\n  Answer: A\n"
    ).encode(),
    b"# Title\n\nHere is a [link](http://a.example/) with *some* __bold__ `code`.\n\n- one\n- two\n\n---\n"
    b"```python\nprint(1)\n```\n",
    b"<t>Das {A} hat 7 Beine und {B} bei {C}, siehe {D}.</t>",
    CHUNK.encode(),
    b"Sure, here is the text:\n\n" + CHUNK.encode(),
]
PIECES = [
    b" ", b"\t", b"\n", b"*", b"**", b"**a", b"_", b"__a ", b"`", b"``a ", b"```\n", b"~~", b"[", b"[a](", b"]", b"#",
    b"# a\n", b"- ", b"Question", b"Question:", b"Question 1", b"Answer:", b"Answer ", b"1", b"Passage:", b"{",
    b"{A}", b"<t>", b"</t>", b"$", b"$$", b"\\(", b'"', b"a", b"a ", b"http://a.", b"\\begin{a}", b"Sure:", b"> ",
    b"\r\n",
]  # fmt: skip


def completion(text: str) -> Completion:
    return Completion("id", None, text, 1, 1, "stop", True)


PARSERS = {
    "questions": lambda text: diverse_qa.parse(text, RECIPE.diverse_qa),
    "markdown": strip_markdown,
    "translation": lambda text: judging.judge_line(LINE, completion(text), "de", RECIPE.translation),
    "lines": lines.parse,
    "pieces": lambda text: [protect.protect(line) for line in protect.split_lines(text)],
    "numbers": lambda text: protect.same_numbers(SOURCE, text),
    "code": lambda text: code_blocks.extract_code(text, "Python") or code_blocks.has_fence(text),
    "syntax": lambda text: code_blocks.syntax_problem(text, "Python"),
    "formulas": lambda text: clean.judge(CHUNK, text, truncated=False, guard=clean.Guard()),
    "boilerplate": clean.without_boilerplate,
    "labels": lambda text: [pattern.match(text) for pattern in (diverse_qa._QUESTION, diverse_qa._ANSWER)],
    **{
        name: lambda text, name=name: rephrase.parse(name, text, RECIPE.rephrased.prompts()[name])
        for name in ("knowledge_list", "extract_knowledge")
    },
}  # fmt: skip


@pytest.mark.parametrize("name", PARSERS)
def test_answers(name):
    read, size = PARSERS[name], 32_768 if name == "labels" else 8_192
    fuzz(lambda data: read(data.decode("utf-8", "replace")), ANSWERS, PIECES, changed=40, repeated=60, size=size)
