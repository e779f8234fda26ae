"""The bounded process of a grader: order, errors, and what becomes of it when it hangs, dies or uses up memory."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from nemotron_assets.grading.process import BoundedProcess, Failure, GraderError, ProcessGrader
from nemotron_assets.grading.verdict import Verdict
from nemotron_assets.recipe.grading import Grading
from tests.grading import behaving

LIMITS = Grading(answer_s=1, memory_mb=400, max_characters=1_000)


def test_replies_come_in_order_and_each_bad_question_costs_only_itself():
    asked = ["1", "hang", "2", "crash", "exit", "raise", "interrupt", "3", "memory", "4", "alarm", "5"]
    with BoundedProcess(behaving.prepare, behaving.answer, LIMITS) as process:
        replies = list(process.map(asked))
    reasons = {
        question: reply.reason for question, reply in zip(asked, replies, strict=True) if isinstance(reply, Failure)
    }
    assert [reply for reply in replies if not isinstance(reply, Failure)] == ["1", "2", "3", "4", "5"]
    assert set(reasons) == {"hang", "crash", "exit", "raise", "interrupt", "memory", "alarm"}
    assert "no reply within 1 s" in reasons["hang"]
    assert "SIGSEGV" in reasons["crash"]
    assert reasons["raise"].startswith("value_error: ")
    assert "400 MiB allowed" in reasons["memory"]
    assert "SIGALRM" in reasons["alarm"]


def test_a_process_that_is_killed_from_outside_is_replaced():
    with BoundedProcess(behaving.prepare, behaving.answer, LIMITS) as process:
        (first,) = process.map(["pid"])
        assert first != os.getpid()
        killer = threading.Timer(0.3, os.kill, (first, signal.SIGKILL))
        killer.start()
        replies = list(process.map(["hang", "pid"]))
    assert isinstance(replies[0], Failure) and "SIGKILL" in replies[0].reason
    assert isinstance(replies[1], int) and replies[1] != first


def test_questions_are_not_read_far_ahead():
    taken: list[int] = []

    def questions():
        for number in range(1_000):
            taken.append(number)
            yield str(number)

    with BoundedProcess(behaving.prepare, behaving.answer, LIMITS) as process:
        replies = process.map(questions())
        assert [next(replies) for _ in range(3)] == ["0", "1", "2"]
        assert len(taken) <= 64


def test_it_works_in_a_thread_that_is_not_the_main_one():
    found: list[Verdict] = []

    def grade() -> None:
        with ProcessGrader("echo", behaving.prepare, behaving.judge, ("1", "1"), LIMITS) as grader:
            found.extend(grader.grade([("2", "2"), ("2", "3")]))

    thread = threading.Thread(target=grade)
    thread.start()
    thread.join()
    assert [verdict.outcome for verdict in found] == ["right", "wrong"]
    assert found[0] == Verdict("right", "echo") and found[1].detail == "'2' is not '3'"


def test_an_answer_that_is_too_long_is_an_error():
    with ProcessGrader("echo", behaving.prepare, behaving.judge, ("1", "1"), LIMITS) as grader:
        (verdict,) = grader.grade([("1" * 1_001, "1")])
    assert verdict == Verdict("error", "echo", "1,001 characters, 1,000 allowed (grading.max_characters)")


def test_a_grader_that_cannot_work_does_not_start():
    with pytest.raises(GraderError, match=r"cannot load its libraries.*nonesuch"):
        ProcessGrader("broken", behaving.broken, behaving.judge, None, LIMITS).__enter__()
    with pytest.raises(GraderError, match=r"echo does not work here: .*'1' is not '2'"):
        ProcessGrader("echo", behaving.prepare, behaving.judge, ("1", "2"), LIMITS).__enter__()
