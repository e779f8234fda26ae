"""Grades answers in a process of its own, because the texts are hostile and the libraries that read them are not.

One process serves one grader. It is killed and started again when an answer takes too much time or memory, so such an
answer costs its own verdict and no other one.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from types import TracebackType
from typing import TYPE_CHECKING, Any

from nemotron_assets.grading.verdict import Undecided, Verdict

if TYPE_CHECKING:
    import polars as pl

    # Not at run time: the process would load the whole recipe.
    from nemotron_assets.recipe.grading import Grading
    from resources.worker_process import Answer, Worker

#: Most questions that are sent to the process before the first of them is answered.
_BATCH = 64


#: Errors that say nothing about the answer that was judged.
_OF_LIBRARIES = ("import_error", "module_not_found_error")

#: A function of (answer, gold answer) that returns right, wrong or error, and the reason.
Judge = Callable[[str, Any], tuple[str, str | None]]


class GraderError(RuntimeError):
    """The grader cannot work at all: a library is missing, or its process does not start."""


@dataclass(frozen=True)
class Failure:
    """The process could not answer a question. `reason` says why. `by_question`: the question took too much time or
    memory, or its answer raised an error; else the process or its libraries failed."""

    reason: str
    by_question: bool = False


@dataclass(frozen=True)
class _Task:
    """What the process applies to its rows. A row that asks nothing (null) loads the libraries."""

    prepare: Callable[[], None]
    answer: Callable[[Any], Any]

    def __call__(self, rows: pl.DataFrame) -> pl.DataFrame:
        import polars as pl

        return pl.DataFrame({"reply": [json.dumps(self._reply(asked)) for asked in rows["asked"]]})

    def _reply(self, asked: str | None) -> Any:
        return self.prepare() if asked is None else self.answer(json.loads(asked))


class BoundedProcess:
    """A process that answers questions one after the other, under a time limit for each and a memory limit.

    `answer` is a function of a module; its question and its reply are values that JSON can hold. `prepare` loads its
    libraries, without a time limit for an answer. Use it as a context manager, from one thread at a time.
    """

    def __init__(self, prepare: Callable[[], None], answer: Callable[[Any], Any], limits: Grading) -> None:
        import pickle

        self._task, self._limits = pickle.dumps(_Task(prepare, answer)), limits
        self._worker: Worker | None = None

    def __enter__(self) -> BoundedProcess:
        self._ready()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the process. It starts again with the next question."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.kill()

    def map(self, questions: Iterable[Any]) -> Iterator[Any | Failure]:
        """The replies in the order of the questions, as they come; a `Failure` for each that has no reply."""
        waiting = iter(questions)
        while batch := [json.dumps(question) for question in islice(waiting, _BATCH)]:
            while batch:
                replies, failure = self._ask(batch)
                yield from replies
                batch = batch[len(replies) :]
                if failure:
                    yield failure
                    batch = batch[1:]

    def _ask(self, batch: list[str]) -> tuple[list[Any | Failure], Failure | None]:
        """The replies to the first questions, and the failure at the next one if the process was lost there."""
        from resources.worker_process import WorkerDied

        worker = self._ready()
        try:
            return [_reply(answer) for answer in self._call(worker, batch, self._limits.answer_s)], None
        except WorkerDied as died:
            self.close()
            late = f"no reply within {self._limits.answer_s:g} s (grading.answer_s)"
            reason = late if died.cause == "timeout" else f"{died.cause}: {died.detail}"
            return [_reply(answer) for answer in died.answers], Failure(reason, died.cause in ("timeout", "memory"))
        except BaseException:
            self.close()
            raise

    def _ready(self) -> Worker:
        """The process with its libraries loaded. Raises `GraderError` if it does not start."""
        from resources.worker_process import ComputeError, Worker, WorkerDied

        if self._worker is None or not self._worker.alive():
            self.close()
            try:
                self._worker = Worker(self._limits.start_s)
                ((_, rejected),) = self._call(self._worker, [None], self._limits.start_s)
            except (WorkerDied, ComputeError) as error:
                self.close()
                raise GraderError(f"the process of a grader did not start: {error}") from error
            if rejected:
                self.close()
                raise GraderError(f"a grader cannot load its libraries ({rejected[0][2]}): run make to install them")
        return self._worker

    def _call(self, worker: Worker, asked: list[str | None], seconds: float) -> list[Answer]:
        import polars as pl

        from resources.compute_worker import frame_to_ipc

        frame = pl.DataFrame({"number": range(len(asked)), "asked": asked}, {"number": pl.Int64, "asked": pl.String})
        return worker.call(
            self._task,
            "number",
            frame_to_ipc(frame),
            rows=len(asked),
            timeout=seconds,
            memory_bytes=self._limits.memory_mb << 20,
            stopped=lambda: False,
        )


def _reply(answer: Answer) -> Any | Failure:
    import polars as pl

    frames, rejected = answer
    if rejected:
        _, cause, detail = rejected[0]
        return Failure(f"{cause}: {detail}"[:500], cause not in _OF_LIBRARIES)
    return json.loads(pl.read_ipc_stream(frames[0])["reply"][0])


class ProcessGrader:
    """A grader whose judgements are made by `judge(answer, gold)` in a bounded process.

    `sample` is an answer and its gold answer that `judge` must find right, or the grader does not start. `undecided` is
    the outcome of an answer that is too long, takes too much time or memory, or at which `judge` raises. Use it as a
    context manager:

        with ProcessGrader("maths", load, judge, ("1", "1"), recipe.grading) as grader:
            verdicts = list(grader.grade(pairs))
    """

    def __init__(
        self,
        by: str,
        prepare: Callable[[], None],
        judge: Judge,
        sample: tuple[str, Any] | None,
        limits: Grading,
        undecided: Undecided = "error",
    ) -> None:
        self.by, self._sample, self._undecided = by, sample, undecided
        self._process = BoundedProcess(prepare, partial(_judged, judge, limits.max_characters, undecided), limits)

    def __enter__(self) -> ProcessGrader:
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._process)
            if self._sample and not (verdict := next(self.grade([self._sample]))).right:
                raise GraderError(f"{self.by} does not work here: it finds a right answer {verdict.outcome}: {verdict}")
            stack.pop_all()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._process.close()

    def grade(self, pairs: Iterable[tuple[str, Any]]) -> Iterator[Verdict]:
        """The verdicts about pairs of (answer, gold answer), in their order and as they come."""
        return map(self._verdict, self._process.map(pairs))

    def _verdict(self, reply: Any | Failure) -> Verdict:
        if isinstance(reply, Failure):
            return Verdict(self._undecided if reply.by_question else "error", self.by, reply.reason)
        outcome, detail = reply
        return Verdict(outcome, self.by, None if outcome == "right" else str(detail)[:500])


def _judged(judge: Judge, longest: int, undecided: Undecided, pair: list[Any]) -> tuple[str, str | None]:
    """What the process does with a pair: an answer that is too long is not judged."""
    answer, gold = pair
    if len(answer) > longest:
        return undecided, f"{len(answer):,} characters, {longest:,} allowed (grading.max_characters)"
    return judge(answer, gold)
