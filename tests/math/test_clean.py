"""The guard of the clean-up: no formula and no code block of a page is lost, whatever a model answers."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nemotron_assets.math import clean, tex
from nemotron_assets.math.clean import (
    Guard,
    by_rules,
    chunks,
    code_blocks,
    judge,
    lossless,
    lost,
    merge,
    without_boilerplate,
)

GUARD = Guard()
CHUNK = """\
Lagrange's theorem

Let $G$ be a finite group and $H \\le G$ a subgroup. Then the order of the subgroup divides that of the group:

$$|G| = [G : H]\\,|H|$$

```python
def index(g, h):
    return len(g) // len(h)
```

Because the cosets of the subgroup all have the same size, they cut the group into equal parts."""

# -- random pages and answers -----------------------------------------------------------------------------------------

_words = st.sampled_from(
    [
        "the",
        "order",
        "of",
        "a",
        "group",
        "divides",
        "$5",
        "or",
        "$10",
        "Home",
        "Next",
        "sum",
        "\\(",
        "\\)",
        "\\[",
        "$",
        "$$",
        "```",
        "~~~",
        "proof",
        "中文",
        "that",
        "is",
        "even",
        ".",
        ":",
        "|",
    ]
)
_formula = st.sampled_from(
    ["$x$", "$$x^2 + y_1$$", "$\\frac{a}{b}$", "$$\\sum_{i=1}^n i\n= \\frac{n(n+1)}{2}$$", "$a \\le b$", "\\(z\\)",
     "\\[q = 1\\]", "$$\na &= b \\\\\n \nc &= d\n$$", "$\\text{if } x$", "$\\{1, 2\\}$"]
)  # fmt: skip
_code = st.sampled_from(
    [
        "```python\nx = 1\n\ny = '$z$'\n```",
        "~~~\nhome\n~~~",
        "````\n```\n````",
        "```\n\n```",
        "```r\nif (a) {\n  b\n}\n```",
    ]
)
_line = st.lists(_words | _formula, min_size=1, max_size=12).map(" ".join)
_pages = st.lists(_line | _code | _formula, min_size=1, max_size=8).flatmap(
    lambda parts: st.lists(
        st.sampled_from(["\n\n", "\n", "\n \n", "\n\n\n"]), min_size=len(parts), max_size=len(parts)
    ).map(lambda gaps: "".join(part + gap for part, gap in zip(parts, gaps, strict=True)).strip("\n"))
)


def _mangled(page: str) -> st.SearchStrategy[str]:
    """Answers that are close to the page: pieces dropped, repeated, swapped, or written another way."""
    pieces = re.split(r"(\n+|\s\$|\$\s)", page)
    edits = [
        lambda p: "",
        lambda p: p + p,
        lambda p: p.replace("$", "$$"),
        lambda p: p.replace("x", "w"),
        str.strip,
        lambda p: p.replace("\\frac", "\\dfrac"),
        lambda p: p,
        lambda p: p,
        lambda p: p,
    ]
    chosen = st.lists(st.sampled_from(edits), min_size=len(pieces), max_size=len(pieces))
    return chosen.map(lambda do: "".join(edit(piece) for edit, piece in zip(do, pieces, strict=True)))


_answers = _pages.flatmap(
    lambda page: st.tuples(
        st.just(page), st.one_of(_mangled(page), _pages, st.text(max_size=60), st.just(clean.NO_CONTENT))
    )
)


@settings(max_examples=250, deadline=None)
@given(_answers, st.booleans())
@example(("$$\na\n \nb\n$$ and so on", "$$a$$"), False)
def test_whatever_a_model_answers_nothing_is_lost(pair, truncated):
    page, answer = pair
    made = judge(page, answer, truncated=truncated, guard=GUARD)
    assert made.outcome in clean.OUTCOMES
    assert lost(page, made.text) == 0
    assert made.formulas == len(list(tex.find(page))) or made.outcome == "empty"


@settings(max_examples=200, deadline=None)
@given(_pages, st.integers(1, 30))
def test_chunks_and_rules_lose_nothing(page, limit):
    parts = chunks(page, lambda texts: [len(text.split()) for text in texts], limit)
    merged = merge([by_rules(part).text for part in parts])
    assert lost(page, lossless(page, merged)) == 0
    assert lost(page, without_boilerplate(page)) == 0
    # Cutting a page removes only white space between its chunks.
    assert "".join("".join(parts).split()) == "".join(page.split())


@settings(max_examples=200, deadline=None)
@given(_pages, st.integers(1, 200))
def test_a_cap_cuts_between_blocks(page, most):
    cut = merge([page], most)
    assert len(cut) <= most
    assert not Counter(code_blocks(cut)) - Counter(code_blocks(page)) and page.replace("\r", "").startswith(cut[:1])


def test_a_page_that_was_damaged_between_its_chunks_keeps_its_own_text():
    page = "Sums are taken of $x$ here, and this sentence ends."
    assert lossless(page, "Sums are taken.") == page
    assert lossless(page, "Sums: $x$") == "Sums: $x$"


# -- answers that are kept, repaired and discarded --------------------------------------------------------------------


def _answer(**changes: str) -> str:
    text = CHUNK
    for old, new in changes.values():
        assert old in text
        text = text.replace(old, new)
    return text


NOTATION = {
    "spaces": ("$H \\le G$", "$ H\\leq G $".replace("$ ", "$").replace(" $", "$")),
    "delimiters": ("$H \\le G$", "\\(H \\leq G\\)"),
    "display": ("$$|G| = [G : H]\\,|H|$$", "$|G| = [G : H] |H|$"),
    "sizes": ("$$|G| = [G : H]\\,|H|$$", "$$\\left|G\\right| = \\left[G : H\\right] |H|$$"),
    "headline": ("Lagrange's theorem", "# Lagrange's theorem"),
}


@pytest.mark.parametrize("change", NOTATION.values(), ids=NOTATION)
def test_another_notation_is_kept(change):
    made = judge(CHUNK, _answer(change=change), truncated=False, guard=GUARD)
    assert (made.outcome, made.restored) == ("kept", 0)
    assert "\\(" not in made.text and lost(CHUNK, made.text) == 0


def test_changed_formulas_and_code_are_put_back():
    answer = _answer(a=("[G : H]\\,|H|", "[G : H] + |H|"), b=("len(g) // len(h)", "len(g) / len(h)"))
    made = judge(CHUNK, answer, truncated=False, guard=GUARD)
    assert (made.outcome, made.restored, made.formulas) == ("restored", 2, 3)
    assert made.text == CHUNK


DISCARDED = {
    "rules_dropped": [("$$|G| = [G : H]\\,|H|$$\n\n", "")],
    "rules_invented": [("Lagrange's theorem", "Penguins breed every winter while leopard seals patrol icy coasts "
                        "nearby and orcas hunt larger whales offshore")],
    "rules_shortened": [("Because the cosets of the subgroup all have the same size, they cut the group into equal parts.",  # noqa: E501
                         ""), ("Let $G$ be a finite group and $H \\le G$ a subgroup. Then the order of the subgroup "
                         "divides that of the group:", "$G$ $H \\le G$")],
}  # fmt: skip


@pytest.mark.parametrize("outcome", DISCARDED)
def test_damaging_answers_are_discarded(outcome):
    made = judge(
        CHUNK, _answer(**{str(n): change for n, change in enumerate(DISCARDED[outcome])}), truncated=False, guard=GUARD
    )
    assert made.outcome == outcome
    assert made.text == CHUNK  # the rules remove nothing, because it has no navigation


def test_invented_formulas_are_discarded():
    made = judge(CHUNK, CHUNK + "\n\nHence $e^{i\\pi} = -1$.", truncated=False, guard=GUARD)
    assert made.outcome == "rules_invented" and "pi" not in made.text
    plain = CHUNK + "\n\nIn the same way the number p + q is even."
    made = judge(plain, plain.replace("p + q", "$p + q$"), truncated=False, guard=GUARD)
    assert made.outcome == "kept" and "$p + q$" in made.text


@pytest.mark.parametrize(
    "around", ["Here is the cleaned text:\n\n{}", "Sure! Here's the text:\n{}", "```markdown\n{}\n```"]
)
def test_text_around_the_answer_is_removed(around):
    text = "A set is open if every point of $U$ has a ball inside it."
    made = judge(text, around.format(text), truncated=False, guard=GUARD)
    assert (made.outcome, made.text) == ("kept", text)


def test_no_content_is_accepted_only_without_formulas():
    assert judge("Home | Next | Up", f" {clean.NO_CONTENT.title()}. ", truncated=False, guard=GUARD).outcome == "empty"
    made = judge(CHUNK, clean.NO_CONTENT, truncated=False, guard=GUARD)
    assert made.outcome == "rules_dropped" and made.text == CHUNK
    assert judge(CHUNK, CHUNK, truncated=True, guard=GUARD).outcome == "rules_truncated"


def test_rules_remove_navigation_and_keep_content():
    page = f"Home\nNext\n\n* Index\n* Modules\n\n{CHUNK}\n\n© 2020 Somebody\n\nHome | Up"
    assert without_boilerplate(page) == CHUNK
    chinese = "首页\n\n设群的阶为有限数,则子群的阶整除群的阶。这个结论称为拉格朗日定理,它的证明用到陪集的概念。"
    assert without_boilerplate(chinese).endswith("陪集的概念。")


@pytest.mark.parametrize(
    "line",
    [
        "Rings",
        "Search",
        "Index",
        "The converse is false.",
        "This completes the proof.",
        " 1. Choose a prime",
        "  * blue",
        "Method  Error",
        "Term\n  Its meaning",
        "Print the value\nNext\nand so on",
        "Copyrights are not trademarks.",
    ],
)
def test_what_is_short_stays(line):
    page = f"A ring is a set with two operations.\n\n{line}\n\nSo it has units."
    assert without_boilerplate(page) == page


@pytest.mark.parametrize(
    "line", ["Skip to content", "Log in", "Previous | Next", "Prev\n\nUp\n\nNext", "Last updated: 2020", "Menu\n\nHome"]
)
def test_lines_of_navigation_go(line):
    assert without_boilerplate(f"One.\n\n{line}\n\nTwo.") == "One.\n\nTwo."


def test_a_link_at_either_end_goes():
    assert without_boilerplate("Home\n\nA ring has units.\n\nNext") == "A ring has units."
    assert without_boilerplate("Search\n\nA ring has units.") == "Search\n\nA ring has units."
