"""Mathematical answers: which are right, which are wrong, and hostile texts that must not hang or kill a grader."""

from __future__ import annotations

import itertools
import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemotron_assets.grading import maths, units
from nemotron_assets.grading.final_answer import final_answer
from nemotron_assets.grading.maths import judge
from nemotron_assets.recipe.grading import Grading

#: {known answer: responses that state it}
RIGHT = {
    "42": (
        "42",
        "42.0",
        "$42$",
        r"\(42\)",
        r"\[42\]",
        "$$42$$",
        "The answer is 42",
        "The answer is 42.",
        "The answer is $42$.",
        r"\boxed{42}",
        r"so \boxed{42}.",
        "Step 1: 6*7. Step 2: done.\n\n**42**",
        "#### 42",
        "12 + 30 = 42",
        "The answer is 42. I hope it is correct.",
        "Final Answer: 42",
        "the answer is **42**",
        "x = 42",
        r"\frac{84}{2}",
        "42 apples",
        "The answer is 42 apples",
        "The answer is 42 km/h.",
        "42 cm^2",
        "The area is 42 cm².",
        r"42~\text{cm}",
        r"42\;\text{cm}",
        r"\boxed{\,42\,}",
        "\\boxed{\n42\n}",
        "**Answer:** 42\n\nIt is 6 times 7.",
        "There are 42 apples.",
        "4.2e1",
        r"4.2\times 10^1",
        r"\text{42}",
        r"\mathbf{42}",
        r"42^\circ",
        r"42\text{ cm}",
        "$42",
        r"\$42",
        "42%",
        "042",
        r"2\cdot 21",
        r"\boxed{\boxed{42}}",
        r"I first thought \boxed{41}. But that misses one, and after a long check of it all the answer is \boxed{42}",
        "the value of $x$ is $42$",
        r"\boxed{42} \text{ or } \boxed{42}",
        "４２",
        "Tom has three friends.\nHe needs 42 marbles.",
        r"x \approx 42",
        "Answer:\n42",
        "The answer is:\n\\[42\\]",
        r"\boxed{x=42}",
        r"6 \cdot 7 = 42",
        "-(-42)",
        "+42",
    ),
    "1/2": (
        "0.5",
        r"\frac12",
    ),
    r"\frac{3}{2}": (
        "1 1/2",
        r"1\frac{1}{2}",
    ),
    "3, 42": (
        "42, 3",
        "$x = 3$ or $x = 42$",
        r"x=3 \text{ or } x=42",
    ),
    r"\{3,42\}": ("3 and 42",),
    r"\pm 3": ("3, -3",),
    "x^2-1": ("(x-1)(x+1)",),
    "Tuesday": ("The answer is Tuesday.",),
    r"\text{Tuesday}": ("tuesday",),
    "1,000": ("1000",),
    "1000": (
        "x = 1,000",
        "= 1000",
        "1{,}000",
        "1,000",
    ),
    r"50\%": ("0.5",),
    r"\sqrt{8}": (r"2\sqrt2",),
    "(1,2)": (
        "(1, 2)",
        r"\left(1,2\right)",
    ),
    "2x+1": ("1 + 2x",),
    r"\frac13": (r"\frac13 \approx 0.33",),
    r"\pi": (r"\pi \approx 3.14",),
    r"x\in[0,1]": ("[0,1]",),
    r"(-\infty,3)": ("x < 3",),
    r"\infty": (r"\infty",),
    r"\begin{pmatrix}1&2\\3&4\end{pmatrix}": (r"\begin{pmatrix}1 & 2 \\ 3 & 4\end{pmatrix}",),
    r"-\frac12": ("The answer is -0.5",),
    "-3": ("−3",),
    "y=2x+1": ("y = 1 + 2x",),
    "3.5": ("3.50",),
    "1 000": ("1000",),
}
#: {known answer: responses that do not state it}
WRONG = {
    "42": (
        "3 or 42",
        "42 or 3",
        "3, 42",
        "43~42",
        r"42 \approx 43",
        r"43 \boxed 42",
        "43 -> 42",
        "42 | 43",
        "instead of 42",
        r"40\;2",
        "4 2",
        r"\boxed{4\;2}",
        r"42 \ldots",
        "$42'$",
        "42 / 43 apples",
        "42 m or 43 m",
        "$3$ or $42$",
        "The answer is 3 or 42",
        r"\boxed{3} or \boxed{42}",
        r"\boxed{3, 42}",
        r"\boxed{3 \text{ or } 42}",
        r"3\lor 42",
        "42 _ 43",
        "42_{43}",
        r"42 \ne 42",
        r"\ne 42",
        "not 42",
        "It is not 42",
        "x > 42",
        "> 42",
        r"43 \to 42",
        r"43 \implies 42",
        "43 . 42",
        "43\n42 or 43",
        r"43 \sim 42",
        r"43 \& 42",
        "42}{43",
        "40 2",
        "{40}{2}",
        r"42\text{ or more}",
        "42 or more",
        "at least 42",
        r"43 \equiv 42",
        "3 = 42",
        "41",
        "",
        "   ",
        "$",
        r"\boxed{}",
        "I do not know",
        "Tom has 3 apples and 42 pears",
        r"42 \mod 43",
        "42!",
        "-42",
        "about 42",
        "between 41 and 42",
        "The answer is between 3 and 42",
        r"40 \quad 2",
        r"\{42, 43\}",
        "42x",
        r"\infty",
        "nan",
        "1,2,42",
        "41-43",
        "42 42 42",
        "42; 43",
        "42?",
        r"\boxed{42} and \boxed{43}",
        "no more than 42",
        "$x$ or $42$",
        "42 / 43",
        "42:43",
        "42 vs 43",
    ),
    "3, 42": (
        "3",
        "3, 42, 43",
        "x = 3",
    ),
    "Tuesday": ("Monday",),
    "listen": ("silent",),
    r"\text{north}": ("thorn",),
    "(1,2)": (
        "(2,1)",
        "[1,2]",
    ),
    "1/3": ("0.33",),
    "x=1,y=2": ("x=2,y=1",),
    r"\pi": ("3.14",),
    "2x+1": ("2x-1",),
    r"\sqrt{2}": ("2",),
    "7": ("70",),
    "0": ("",),
}

LIMITS = Grading(answer_s=2)


@pytest.mark.parametrize("known", RIGHT)
def test_responses_that_state_the_known_answer(known):
    assert {response: judge(response, known) for response in RIGHT[known]} == dict.fromkeys(
        RIGHT[known], ("right", None)
    )


@pytest.mark.parametrize("known", WRONG)
def test_responses_that_state_something_else(known):
    found = {response: judge(response, known)[0] for response in WRONG[known]}
    assert found == dict.fromkeys(WRONG[known], "wrong")


@settings(max_examples=60, deadline=None)
@given(st.integers(-(10**9), 10**9), st.integers(-(10**9), 10**9))
def test_a_number_equals_itself_and_no_other(known, other):
    assert judge(f"After some thought, the answer is {known}.", str(known))[0] == "right"
    assert judge(f"\\boxed{{{other}}}", str(known))[0] == ("right" if known == other else "wrong")
    if known != other:
        for two in (f"{other} or {known}", f"{known}, {other}", f"\\boxed{{{other}}} or \\boxed{{{known}}}"):
            assert judge(two, str(known))[0] == "wrong"


#: Signs between two numbers that math-verify skips, together with one of the numbers.
COMMANDS = (
    "ast because cap cup bullet choose circ dots gcd gg in ll lim max ni notin oplus perp propto setminus subset sum "
    "therefore uparrow vec Leftarrow hookrightarrow langle not star text mathrm operatorname color phantom"
)
OTHERS = (
    " => ",
    "->",
    "<->",
    " → ",
    "⇒",
    "|",
    " || ",
    "//",
    r" \\ ",
    "@",
    "::",
    " i.e. ",
    " e.g. ",
    " vs ",
    "`",
    "...",
)
BETWEEN = [*(rf" \{name} " for name in COMMANDS.split()), *OTHERS]


@pytest.mark.parametrize("between", BETWEEN)
def test_no_sign_hides_a_second_number(between):
    for whole in (f"43{between}42", f"42{between}43"):
        for response in (f"\\boxed{{{whole}}}", f"${whole}$", f"The answer is {whole}"):
            assert judge(response, "42")[0] == "wrong", response


@settings(max_examples=40, deadline=None)
@given(st.integers(-500, 500), st.integers(2, 500), st.integers(2, 9))
def test_a_fraction_equals_its_other_forms(above, below, times):
    shortest = math.gcd(above, below)
    known = f"\\frac{{{above // shortest}}}{{{below // shortest}}}"
    assert judge(f"${above * times}/{below * times}$", known)[0] == "right"
    assert judge(f"\\boxed{{\\frac{{{above + 1}}}{{{below}}}}}", known)[0] == "wrong"


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=400) | st.text(alphabet="\\{}$()[]boxedfrac answeris:.,0123 \n", max_size=400))
def test_the_final_answer_of_any_text_is_part_of_it(text):
    found = final_answer(text)
    assert len(found) <= len(text) + 2
    assert found == found.strip()


def test_hostile_answers_cost_their_own_verdict_and_no_other():
    """Each is followed by a good answer: the process that answers it may be a new one."""
    hostile = [
        "9^{9^{9^{9}}}",
        "\\frac{1}{" * 90 + "2" + "}" * 90,
        "\\frac{" * 5_000,
        "{" * 9_000 + "42" + "}" * 9_000,
        "(" * 400 + "42" + ")" * 400,
        "x" * 100_000,
        "9" * 19_000,
        "\\boxed{" * 2_800,
        "$" * 19_999,
        "answer is " * 1_900,
        "__import__('signal').alarm(0)",
        "\ud800\udfff \x00",
    ]
    pairs = [pair for text in hostile for pair in ((text, "42"), ("\\boxed{42}", "42"))]
    with maths.grader(LIMITS) as grader:
        verdicts = list(grader.grade(pairs))
    assert len(verdicts) == len(pairs)
    for (text, _), verdict, good in zip(pairs[::2], verdicts[::2], verdicts[1::2], strict=True):
        assert good.right, (text[:40], good)
        assert verdict.outcome in ("wrong", "error") and verdict.detail, text[:40]
        assert len(verdict.detail) <= 500
    assert verdicts[0].outcome == "error" and "no reply within 2 s" in verdicts[0].detail
    assert "100,000 characters" in verdicts[2 * hostile.index("x" * 100_000)].detail


def test_worked_answers_of_gsm8k_are_right_and_those_of_the_next_problem_are_not(sample):
    lines = (sample / "benchmarks" / "gsm8k.jsonl").read_text().splitlines()
    items = [(item["answer"], str(item["final_answer"])) for item in map(json.loads, lines)]
    shifted = [(answer, known) for (answer, _), (_, known) in itertools.pairwise(items)]
    same = [one == other for (_, one), (_, other) in itertools.pairwise(items)]
    with maths.grader(LIMITS) as grader:
        assert all(verdict.right for verdict in grader.grade(items)) and len(items) == 200
        assert [verdict.right for verdict in grader.grade(shifted)] == same


#: (response, known answer, verdict) of answers that both have a unit.
MEASURED = [
    (r"\boxed{42 km}", "42 m", "wrong"),
    ("The answer is 42 km.", "42 m", "wrong"),
    ("The answer is 42 km.", "42 km", "right"),
    (r"\boxed{42000 m}", "42 km", "right"),
    (r"\boxed{\frac{1}{2}\text{ km}}", r"500\ \mathrm{m}", "right"),
    ("It takes 90 minutes.", "1.5 hours", "right"),
    ("The answer is 72 km/h on average.", "20 m/s", "right"),
    (r"\boxed{3\text{ kilometres per hour}}", "3 km/h", "right"),
    (r"\boxed{5\text{ cm}^2}", "5 cm²", "right"),
    (r"\boxed{5 \text{ cm}}", "5 cm^2", "wrong"),
    (r"\boxed{180 degrees}", r"\pi radians", "right"),
    (r"\boxed{3 s}", "3 kg", "wrong"),
    (r"\boxed{8 gold coins}", "8 coins", "right"),
    (r"\boxed{8 apples}", "8 pears", "error"),
    (r"\boxed{9 apples}", "8 apples", "wrong"),
    (r"\boxed{3, 4 km}", "3, 4 m", "error"),
    (r"\boxed{6x}", "6 x", "right"),
    (r"\boxed{6 xy}", "6 yx", "right"),
    (r"\boxed{42}", "42 km", "right"),
]


def test_units_are_converted_and_other_units_are_not_right():
    assert [(said, known, judge(said, known)[0]) for said, known, _ in MEASURED] == MEASURED


#: (response, known answer, verdict) of answers with words after the value, and a known answer without them.
TRAILING = [
    (r"\boxed{42\text{ million}}", "42", "wrong"),
    (r"\boxed{42\text{ million}}", "42,000,000", "right"),
    (r"\boxed{42\text{ million people}}", "42000000", "right"),
    ("42 million", "42", "wrong"),
    ("42 million", "42000000", "right"),
    ("The answer is 42 thousand.", "42", "wrong"),
    ("The answer is 42 thousand.", "42000", "right"),
    (r"It is \boxed{42} million.", "42", "wrong"),
    (r"It is \boxed{1.5} million.", "1,500,000", "right"),
    ("The answer is 1500 thousand dollars.", "1.5 million dollars", "right"),
    ("The answer is 3 million km.", "3,000,000 km", "right"),
    (r"\boxed{3 million m}", "3,000 km", "right"),
    ("42 percent", "0.42", "right"),
    (r"\boxed{42\text{ is wrong}}", "42", "wrong"),
    (r"\boxed{42\text{ minus one}}", "42", "wrong"),
    (r"\boxed{42\text{ plus 1}}", "42", "wrong"),
    (r"\boxed{42\text{ times two}}", "42", "wrong"),
    (r"\boxed{42\: \text{nope}}", "42", "wrong"),
    (r"\boxed{42}\text{ or }43", "42", "wrong"),
    (r"\boxed{42} or 43", "42", "wrong"),
    (r"$\boxed{42}$ is wrong.", "42", "wrong"),
    ("The answer is 42 minus one.", "42", "wrong"),
    (r"\boxed{42 km is wrong}", "42 km", "wrong"),
    ("42 times", "42", "right"),
    (r"\boxed{42\text{ apples}}", "42", "right"),
    (r"\boxed{42\text{ dollars}}", "42", "right"),
    (r"\boxed{42} dollars, or so I think.", "42", "right"),
    (r"\boxed{\frac12} or equivalently $0.5$", "1/2", "right"),
    (r"\boxed{42}, which is not surprising.", "42", "right"),
]


def test_words_after_a_value_scale_it_or_take_it_back():
    assert [(said, known, judge(said, known)[0]) for said, known, _ in TRAILING] == TRAILING


def test_a_long_run_of_letters_costs_no_time():
    """The pattern of a unit does not try every way to cut the run. A process of its own bounds math-verify."""
    answer = "1 " + "a" * 100_000 + "!"
    assert units.split(answer) == (answer, "")


def test_an_answer_that_cannot_be_decided_is_an_error():
    assert judge("42", "")[0] == "error"
    assert judge("42", "\\frac\\frac")[0] == "error"
    assert judge("42", "1+" * 1_000)[0] == "error"
