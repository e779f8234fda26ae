"""Every suite: its prompts are those on record, its answers are graded as its benchmark says, thoughts do not count."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import get_args

import polars as pl
import pytest

from nemotron_assets.evaluate import harness, suites
from nemotron_assets.evaluate.graded import Graded, Written
from nemotron_assets.evaluate.suites import Suite, SuiteError, groups
from nemotron_assets.grading.rewards import Rewards
from nemotron_assets.recipe import load_recipe
from nemotron_assets.recipe.evaluate import ChatTask, SuiteName, Task
from tests.evaluate import invented

ZERO = ("humaneval_plus", "humaneval", "ifeval", "aime24", "aime25", "piqa", "openbookqa", "livecodebench", "hle",
        "bfcl_non_live", "bfcl_live")  # fmt: skip
PROMPTS = Path(__file__).with_name("prompts.txt")


@pytest.fixture(scope="module")
def all_items(items, tmp_path_factory):
    made = invented.read(tmp_path_factory.mktemp("invented") / "files")
    return pl.concat([items, made.filter(~pl.col("benchmark").is_in(items["benchmark"].unique().implode()))])


@pytest.fixture(scope="module")
def graded():
    with Rewards(load_recipe("laptop").grading) as rewards:
        yield Graded(rewards, pytest.fail)


def shots_of(name: str) -> int:
    """The shots of a test: two where the items allow it."""
    return 0 if name in ZERO else 2


def test_every_suite_has_a_task_file_and_items(all_items):
    for name in get_args(SuiteName):
        assert Suite.named(name).file["output_type"] in ("multiple_choice", "generate_until")
        assert list(groups(name, all_items, 0, 1)), name
    with pytest.raises(SuiteError, match=r"no items of math: bring the file math\.jsonl"):
        list(groups("math", all_items.filter(benchmark="gsm8k"), 0, None))


def test_prompts_are_those_on_record(all_items, tmp_path):
    """A changed prompt changes scores: compare the files, and if the change is meant, put the new one in place."""
    said = []
    for name in get_args(SuiteName):
        group = next(groups(name, all_items, shots_of(name), 1))
        if "doc_to_text" in group.suite.file:
            (prompt,) = prompts_of(group)
            said.append(f"=== {name}, {shots_of(name)} shots\n{prompt}\n")
        if "chat" in group.suite.file:
            said.append(f"=== {name}, chat\n{group.suite.chat_text(group.scored.row(0, named=True))}\n")
    new = tmp_path / "prompts.txt"
    new.write_text("\n".join(said), "utf-8")
    assert new.read_text("utf-8") == PROMPTS.read_text("utf-8"), f"the prompts are now those of {new}"


def prompts_of(group) -> list[str]:
    """The prompts of the items of a group, of choices each context with its continuations."""
    from lm_eval.tasks import TaskManager

    if group.suite.grade:
        return [prompt for _, prompt in harness.written_prompts(group)]
    (task,) = TaskManager(include_defaults=False).load([group.config()])["tasks"].values()
    task.build_all_requests(rank=0, world_size=1)
    ends: dict[str, list[str]] = {}
    for one in task.instances:
        ends.setdefault(one.args[0], []).append(one.args[1])
    return ["\n".join(f"{context}|{'|'.join(own)}" for context, own in ends.items())]


def test_choices_of_every_suite_are_scored(all_items, student, vocabulary_folder):
    """The harness takes the items of all suites whose choices it compares."""
    from transformers import AutoTokenizer

    names = [name for name in get_args(SuiteName) if not Suite.named(name).grade and name not in ("mmlu",)]
    lm = harness.likelihoods(student, AutoTokenizer.from_pretrained(vocabulary_folder), 8)
    results = list(harness.choice_results(lm, all_items, [Task(name=name, shots=1) for name in names], 2))
    assert {r.task for r in results} == set(names)
    assert {r.metric for r in results} == {"acc", "acc_norm"} and all(r.score in (0, 1) for r in results)


def written(items, name: str, text: str, number: int = 0, **more) -> Written:
    group = next(groups(name, items, 0, None))
    return Written(group.suite, group.scored.row(number, named=True), text, **more)


#: (suite, answer of a base model, answer of a chat model, whether it is right)
_CHECK = "def area(r):\n    return math.pi * r * r\n"
ANSWERS = [
    ("gsm8k", " 16 - 3 - 4 = 9 eggs.\n#### 18", r"It is \boxed{18}.", True),
    ("gsm8k", " #### 17", "The answer is 17 dollars.", False),
    ("math", r" It is \boxed{\frac{2}{2}}.", r"\boxed{1}", True),
    ("math", " It is 2.", r"\boxed{1} or \boxed{2}", False),
    ("mgsm", " #### 1", r"\boxed{1}", True),
    ("mmlu_pro", " So the answer is (A).", r"\boxed{A}", True),
    ("mmlu_pro", " The answer is (B). No, the answer is (C).", r"\boxed{\text{B}}", False),
    ("agieval", " The answer is A", r"\boxed{(A)}", True),
    ("agieval", " The answer is a long word.", "I think the answer is a word.", False),
    ("gpqa", " I do not know.", "A", False),
    ("humaneval_plus", "    return math.pi * r * r\n", f"Here it is:\n```python\n{_CHECK}```", True),
    ("humaneval_plus", "    return 3 * r * r\n", "```python\ndef area(r):\n    return 3\n```", False),
    ("mbpp_plus", "def twice(n):\n    return n + n\n", "```python\ndef twice(n):\n    return n + n\n```", True),
    ("mbpp_plus", "def twice(n):\n    return abs(n + n)\n", "twice = lambda n: 2 * n", False),
    ("ifeval", "Rain needs an umbrella.", "Rain needs an umbrella.", True),
    ("ifeval", "Rain, an umbrella.", "Rain falls.", False),
]


def test_answers_are_graded_as_the_benchmark_says(all_items, graded):
    """Of base models as they stand, of chat models as they stand and after a thought."""
    given, expected = [], []
    for name, base, chat, right in ANSWERS:
        given.append(written(all_items, name, base))
        given.append(written(all_items, name, chat, chat=True))
        given.append(written(all_items, name, f"Let me think.\n</think>\n\n{chat}", chat=True, thinking=True))
        expected += [(name, right), (f"{name}_chat", right), (f"{name}_thinking", right)]
    results = list(graded.results(given))
    found = [r for r in results if r.metric == "right"]
    followed = [(r.score, r.weight) for r in results if r.metric == "instructions"]
    assert followed == [(1, 2)] * 3 + [(0.5, 2)] * 2 + [(0.5, 2)], "of two instructions"
    assert [(r.task, bool(r.score)) for r in found] == expected
    assert [r.answer for r in found] == [one.text for one in given]


_SUMS = "import sys\nprint(sum(map(int, sys.stdin.read().split())))"
_METHOD = "class Solution:\n    def total(self, a: List[int], b: int) -> int:\n        return sum(a) + b"
_CALL = '{"name": "weather", "arguments": {"city": "%s"%s}}'


def called(*cities: str, more: str = "") -> str:
    return f"<TOOLCALL>[{', '.join(_CALL % (city, more) for city in cities)}]</TOOLCALL>"


#: (suite, number of the item, answer of a chat model, whether it is right)
CHATS = [
    ("livecodebench", 0, f"```python\n{_SUMS}\n```", True),
    ("livecodebench", 0, "```python\nprint(3)\n```", False),
    ("livecodebench", 1, f"```python\nfrom __future__ import annotations\n{_METHOD}\n```", True),
    ("livecodebench", 1, f"```python\n{_METHOD} + 1\n```", False),
    ("livecodebench", 1, "```python\ndef total(a, b):\n    return sum(a) + b\n```", True),
    ("hle", 0, "It is old.\nAnswer: (B)", True),
    ("hle", 0, "**Answer:** B. The second", True),
    ("hle", 0, "Answer: Bonn", False),
    ("hle", 0, "B", False),
    ("hle", 1, "Answer: the peace\nAnswer:  *peace of Westphalia.*\nConfidence: 90%", True),
    ("hle", 1, r"\boxed{\text{Peace of Westphalia}}", True),
    ("hle", 1, "Answer: 1648", False),
    ("hle", 2, "Answer: 0.75", True),
    ("hle", 2, "Answer: 3", False),
    ("bfcl_non_live", 0, called("bonn germany"), True),
    ("bfcl_non_live", 0, called("Bonn", more=', "days": 1'), True),
    ("bfcl_non_live", 0, called("Bonn", more=', "days": true'), False),
    ("bfcl_non_live", 0, called("Bonn", "Bonn"), False),
    ("bfcl_non_live", 0, "It is sunny in Bonn.", False),
    ("bfcl_non_live", 1, called("Kiel", "Bonn"), True),
    ("bfcl_non_live", 1, called("Bonn", "Bonn"), False),
    ("bfcl_non_live", 1, called("Kiel", "Bonn", more=', "days": 1'), False),
    ("bfcl_non_live", 2, "No tool tells that.", True),
    ("bfcl_non_live", 2, called("Bonn"), False),
    ("bfcl_non_live", 2, "<TOOLCALL>weather(Bonn)</TOOLCALL>", False),
    ("bfcl_live", 0, called("Ulm"), True),
    ("bfcl_live", 0, "No.", False),
]


def test_programs_short_texts_and_calls_are_graded(all_items, graded):
    """After a thought, and with a thought that is not closed, which is wrong."""
    given = [
        written(all_items, name, f"{thought}{chat}", number, chat=True, thinking=True)
        for name, number, chat, _ in CHATS
        for thought in ("Well.\n</think>\n\n", "Well.\n")
    ]
    found = [bool(r.score) for r in graded.results(given)]
    expected = [(*row[:3], row[3]) for row in CHATS]
    assert [(*row[:3], score) for row, score in zip(CHATS, found[::2], strict=True)] == expected
    assert not any(found[1::2])


def test_a_suite_for_chat_models_asks_no_base_model(all_items, graded):
    with pytest.raises(SuiteError, match="bfcl_live asks chat models alone"):
        list(harness.written_results(Scripted(""), all_items, [Task(name="bfcl_live", shots=0)], 1, 16, graded))
    asked = Scripted("thought</think>" + called("Bonn"))
    task = ChatTask(name="bfcl_non_live", runs=1, max_output_tokens=32)
    assert [r.score for r in harness.chat_results(asked, all_items, [task], None, graded)] == [1, 0, 0]
    assert all("weather" in one.text and "'type': 'object'" in one.text for one in asked.wanted)


@pytest.mark.parametrize("name", ["gsm8k", "mmlu_pro", "humaneval_plus", "ifeval"])
def test_an_unclosed_thought_is_wrong_whatever_stands_in_it(all_items, graded, name):
    _, _, chat, _ = next(row for row in ANSWERS if row[0] == name and row[3])
    opened = written(all_items, name, f"I think.\n{chat}", chat=True, thinking=True)
    wrong_thought = written(all_items, name, f"{chat}\n</think>\n\n, no", chat=True, thinking=True)
    empty = written(all_items, name, f"{chat}\n</think>", chat=True, thinking=True)
    found = list(graded.results([opened, wrong_thought, empty]))
    scores = [r.score for r in found if r.metric == "right"]
    assert scores == [0, 0, 0], "a right thought is not an answer, and nothing is not an answer either"


def test_an_answer_without_a_verdict_is_left_out_and_a_suite_without_one_is_an_error(all_items):
    from nemotron_assets.grading.rewards import Reward

    said: list[str] = []
    verdicts = [Reward(1.0), Reward(None, error="the machine is busy")]
    rewards = SimpleNamespace(grade=lambda rows: iter(verdicts))
    given = [written(all_items, "gsm8k", "18"), written(all_items, "gsm8k", "18", 1)]
    assert len(list(Graded(rewards, said.append).results(given))) == 1
    assert said == ["1 answers to gsm8k have no verdict and are left out: the machine is busy"]
    verdicts[0] = Reward(None, error="there is no sandbox")
    with pytest.raises(SuiteError, match="no answer to gsm8k could be graded: there is no sandbox"):
        list(Graded(rewards, said.append).results(given))


class Scripted:
    """Answers every prompt by a text, and notes what was wanted."""

    def __init__(self, text: str) -> None:
        self.text, self.wanted = text, []

    def encode(self, text: str) -> list[int]:
        return [len(text)]

    def prompt(self, question, thinking: bool, tools=()) -> tuple[tuple[int, ...], str]:
        return (len(question),), f"{question}|{tools}|{thinking}"

    def answers(self, wanted):
        self.wanted += list(wanted)
        return [SimpleNamespace(text=self.text) for _ in self.wanted]


def test_a_chat_model_is_asked_several_times_as_published(all_items, graded):
    asked = Scripted("thought</think>\\boxed{18}")
    task = ChatTask(name="gsm8k", runs=3, max_output_tokens=32)
    results = list(harness.chat_results(asked, all_items, [task], 2, graded))
    assert [(r.run, r.score) for r in results] == [(0, 1), (1, 1), (2, 1), (0, 0), (1, 0), (2, 0)]
    assert {(one.temperature, one.top_p, one.max_tokens) for one in asked.wanted} == {(0.6, 0.95, 32)}
    assert [one.sample for one in asked.wanted] == [0, 1, 2] * 2 and asked.wanted[0].text.endswith("|True")
    with pytest.raises(SuiteError, match="piqa has no text for chats"):
        list(harness.chat_results(asked, all_items, [task.model_copy(update={"name": "piqa"})], 1, graded))
    with pytest.raises(ValueError, match="runs 3 at temperature 0"):
        ChatTask(name="gsm8k", runs=3, temperature=0, max_output_tokens=32)


def test_a_base_model_is_asked_once_and_its_answer_is_cut(all_items, graded):
    asked = Scripted(" 9 eggs. #### 18\n\nQuestion: What is one?\nAnswer: #### 1")
    (result,) = harness.written_results(asked, all_items, [Task(name="gsm8k", shots=2)], 1, 16, graded)
    assert (result.score, result.shots, result.answer) == (1, 2, " 9 eggs. #### 18\n\n")
    (wanted,) = asked.wanted
    assert (wanted.temperature, wanted.max_tokens) == (0, 16) and wanted.text.count("#### ") == 2
    asked, several = Scripted(" 18"), {"runs": 2, "temperature": 0.6, "top_p": 0.95}
    task = Task(name="gsm8k", shots=0, **several)
    assert [r.run for r in harness.written_results(asked, all_items, [task], 1, 16, graded)] == [0, 1]
    assert [(one.sample, one.temperature, one.top_p) for one in asked.wanted] == [(0, 0.6, 0.95), (1, 0.6, 0.95)]
    assert suites.split(all_items.head(3), all_items.head(0), 1, None)[1].height == 1
