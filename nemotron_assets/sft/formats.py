"""The published text formats of SFT rows: one flat text per row, in the form of its config (Nano 2 data card)."""

from __future__ import annotations

THINK_OPEN, THINK_CLOSE = "<think>", "</think>"


def general_text(turns: list[tuple[str, str]]) -> str:
    """Turns of (speaker, text), with the speakers User and Assistant, as the config General has them."""
    return "\n".join(f"<extra_id_1>{speaker}\n{text}" for speaker, text in turns)


def math_text(question: str, answer: str, reasoning: str | None = None) -> str:
    """A question and its answer as the config MATH has them."""
    return f"input: {question}\noutput: {_reasoned(answer, reasoning)}"


def code_text(question: str, answer: str, reasoning: str | None = None) -> str:
    """A task and its solution as the config Code has them."""
    return f"{question}\n\n{_reasoned(answer, reasoning)}"


def _reasoned(answer: str, reasoning: str | None) -> str:
    return f"{THINK_OPEN}\n{reasoning.strip()}\n{THINK_CLOSE}\n\n{answer}" if reasoning else answer


def text_of(subset: str | None, question: str, answer: str, reasoning: str | None = None) -> str:
    """A row's text in the form of its config. A row without a config has the form of General."""
    if subset == "MATH":
        return math_text(question, answer, reasoning)
    if subset == "Code":
        return code_text(question, answer, reasoning)
    return general_text([("User", question), ("Assistant", _reasoned(answer, reasoning))])
