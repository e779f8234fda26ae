"""The generation ledger: stores every request to a language model with its answer, so that no answer is paid for twice.

A finished completion is appended to a local journal and fsynced at once. Later it is folded into the Delta table
`llm.generations`. Its key is a hash of everything that decides the answer: weights, chat template, sampling, output
format, messages and sample number. A run that is killed and started again requests only the missing answers.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import itertools
import json
import logging
import os
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from nemotron_assets.table.columns import ID, PARENTS
from nemotron_assets.table.schema import Column, Table
from resources.home import cache_dir

if TYPE_CHECKING:
    from resources.lakehouse import Lakehouse

GENERATIONS = Table(
    "llm",
    "generations",
    "Every completion of a language model: the request, the settings, the answer, its tokens and its duration.",
    (
        Column(
            ID.name,
            ID.dtype,
            "key of the request: first 32 hex digits of a sha256 over model, chat template, sampling, output format, "
            "messages and sample",
        ),
        Column(PARENTS.name, PARENTS.dtype, "ids of the rows that the first request with this key was made from"),
        Column("model", "string", "name of the model, for example SmolLM2-135M-Instruct"),
        Column(
            "model_sha256", "string", "sha256 over the files of the weights; behind an endpoint, of the model's name"
        ),
        Column("template_sha256", "string", "sha256 of the chat template; behind an endpoint, of the empty text"),
        Column("prompt", "string", "name of the prompt, for example diverse_qa"),
        Column("messages", "string", "chat messages: a JSON list of objects with role and content"),
        Column(
            "sampling",
            "string",
            "sampling settings: a JSON object with temperature, top_p, max_tokens, stop and, if set, top_k",
        ),
        Column(
            "output_format",
            "string",
            "grammar that the answer must match: a JSON object with kind (regex or json) and spec; null for free text",
            nullable=True,
        ),
        Column(
            "sample", "int32", "number of the sample, counted from 0, when a request is repeated to get other answers"
        ),
        Column("text", "string", "answer of the model"),
        Column("prompt_tokens", "int64", "number of tokens of the request, with its chat template"),
        Column("output_tokens", "int64", "number of tokens of the answer"),
        Column("finish_reason", "string", "stop if the model ended the answer, length if it reached max_tokens"),
        Column(
            "seconds",
            "float64",
            "time from handing over the request until its answer was finished, in seconds",
            volatile=True,
        ),
        Column("run_id", "string", "id of the Dagster run that generated the answer", volatile=True),
        Column("at", "timestamp", "time when the answer was finished, UTC", volatile=True),
    ),
)
TABLES = [GENERATIONS]

_WINDOW = 2_048  # requests that are looked up, answered and yielded together; bounds memory

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sampling:
    """How tokens are sampled. `max_tokens` limits the answer. With `top_k` None all tokens may be drawn."""

    temperature: float
    top_p: float
    max_tokens: int
    stop: tuple[str, ...] = ()
    top_k: int | None = None

    def settings(self) -> dict[str, Any]:
        """The settings by name, without those that are None. So the keys of requests without `top_k` are those that
        were used before `top_k` existed."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class OutputFormat:
    """A grammar that the answer must match: a regular expression over the whole answer, or a JSON schema."""

    kind: Literal["regex", "json"]
    spec: str


@dataclass(frozen=True)
class Request:
    """One request to a language model.

    `messages` are (role, content) pairs. `parents` are the ids of the rows that it was made from; they are not part of
    the key. `sample` tells repeated requests apart.
    """

    prompt: str
    messages: tuple[tuple[str, str], ...]
    sampling: Sampling
    output_format: OutputFormat | None = None
    sample: int = 0
    parents: tuple[str, ...] = ()

    def chat(self) -> list[dict[str, str]]:
        """The messages in the form that chat templates and endpoints take."""
        return [{"role": role, "content": content} for role, content in self.messages]


@dataclass(frozen=True)
class Answer:
    """The answer of an engine to one request."""

    text: str
    prompt_tokens: int
    output_tokens: int
    finish_reason: str
    seconds: float


@dataclass(frozen=True)
class Completion:
    """An answer in the ledger. `id` is its key; `new` says whether this call generated it."""

    id: str
    request: Request = field(repr=False)
    text: str
    prompt_tokens: int
    output_tokens: int
    finish_reason: str
    new: bool


class Engine(Protocol):
    """A language model that answers requests (`resources/engines.py`)."""

    name: str
    sha256: str
    template_sha256: str

    def run(self, requests: Iterable[tuple[str, Request]]) -> Iterator[tuple[str, Answer]]:
        """Answer (key, request) pairs; yields (key, answer) as each is finished, in any order."""


def generation_id(engine: Engine, request: Request) -> str:
    """The key of a request: 32 hex digits of a sha256. Requests with equal keys have the same answer."""
    decides = [
        engine.sha256,
        engine.template_sha256,
        request.sampling.settings(),
        asdict(request.output_format) if request.output_format else None,
        request.messages,
        request.sample,
    ]
    return hashlib.sha256(_json(decides).encode()).hexdigest()[:32]


class Ledger:
    """Asks an engine only for answers that neither the Delta table nor a journal holds.

    Several processes may use the ledger of one lake at once. Each writes its own journal; the journal of a process that
    died is folded in by the next ledger. `folder` holds the journals (default: a folder per lake in the cache).
    """

    def __init__(self, lake: Lakehouse, folder: Path | None = None, fold_every: int = 4_096, run_id: str = "") -> None:
        # The lake's identity, not its path: a lake that was moved finds the journals of its killed processes.
        self._lake, self._folder, self._run_id = lake, folder or cache_dir("journal") / lake.identity, run_id
        former = cache_dir("journal") / hashlib.sha256(lake.root.encode()).hexdigest()[:16]
        if former.is_dir() and not self._folder.exists():  # an earlier version of the program named it by the path
            former.rename(self._folder)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._fold_every = fold_every

    def generate(
        self, engine: Engine, requests: Iterable[Request], progress: Callable[[int, int, int], None] | None = None
    ) -> Iterator[Completion]:
        """Yield one completion per request, in the order of the requests.

        `progress(finished, new, new output tokens)` is called after every answer. Finished answers survive a kill of
        this process; unfinished ones are requested again next time. Raises RuntimeError when the engine leaves requests
        without an answer.
        """
        self.fold()
        finished = new = tokens = 0
        journal = _Journal(self._folder)
        try:
            requests = iter(requests)
            while window := list(itertools.islice(requests, _WINDOW)):
                keys = [generation_id(engine, request) for request in window]
                known = self._known(set(keys))
                missing = {k: r for k, r in zip(keys, window, strict=True) if k not in known}
                finished += len(window) - len(missing)
                made = set()
                for key, answer in engine.run(missing.items()):
                    row = _row(key, engine, missing[key], answer, self._run_id)
                    journal.append(row)
                    known[key] = row
                    made.add(key)
                    finished, new, tokens = finished + 1, new + 1, tokens + answer.output_tokens
                    if progress:
                        progress(finished, new, tokens)
                if lost := missing.keys() - made:
                    raise RuntimeError(f"{engine.name} gave no answer to {len(lost)} of {len(missing)} requests")
                for key, request in zip(keys, window, strict=True):
                    row = known[key]
                    values = (row["text"], row["prompt_tokens"], row["output_tokens"], row["finish_reason"])
                    yield Completion(key, request, *values, new=key in made)
                    made.discard(key)
                if journal.rows >= self._fold_every:
                    journal.close()
                    self.fold()
                    journal = _Journal(self._folder)
        finally:
            journal.close()
            self.fold()

    def fold(self) -> int:
        """Move the journals that no process is writing into the Delta table; returns the number of new rows."""
        import pyarrow as pa

        with _fold_lock(self._folder), contextlib.ExitStack() as held:
            paths = [p for p in sorted(self._folder.glob("*.jsonl")) if held.enter_context(_unused(p))]
            rows = {row["id"]: row for path in reversed(paths) for row in _read(path)}
            # After a crash between the commit and the removal of a journal, the table has its rows already.
            folded = self._in_table(set(rows))
            fresh = [row for key, row in rows.items() if key not in folded]
            if fresh:
                self._lake.append(
                    GENERATIONS, pa.Table.from_pylist(fresh, GENERATIONS.arrow_schema()), run_id=self._run_id
                )
            for path in paths:
                path.unlink()
        return len(fresh)

    def _known(self, keys: set[str]) -> dict[str, dict[str, Any]]:
        """The rows of these keys, from the table and from the journals of processes that are still running."""
        known = {}
        for path in self._folder.glob("*.jsonl"):
            with contextlib.suppress(FileNotFoundError):  # it was folded meanwhile
                known.update((row["id"], row) for row in _read(path) if row["id"] in keys)
        # The table is read last: a journal that is removed has its rows in the table.
        return known | self._in_table(keys - known.keys())

    def _in_table(self, keys: set[str]) -> dict[str, dict[str, Any]]:
        import polars as pl

        reader = self._lake.read(GENERATIONS)
        if not keys or not reader.exists:
            return {}
        columns = ("id", "text", "prompt_tokens", "output_tokens", "finish_reason")
        rows = reader.scan().filter(pl.col("id").is_in(sorted(keys))).select(columns).collect(engine="streaming")
        return {row["id"]: row for row in rows.iter_rows(named=True)}


class _Journal:
    """A file of finished answers, one JSON object per line. Each line is on the disk before `append` returns.

    The file is locked while its process lives. The kernel releases the lock when the process ends, also by a kill.
    """

    def __init__(self, folder: Path) -> None:
        self._path, self._file, self.rows = folder / f"{time.time_ns()}-{uuid.uuid4().hex[:8]}.jsonl", None, 0

    def append(self, row: dict[str, Any]) -> None:
        if self._file is None:
            with _fold_lock(self._path.parent):  # so that no other process folds and removes it before it is locked
                self._file = self._path.open("ab", buffering=0)
                fcntl.flock(self._file, fcntl.LOCK_EX)
            folder = os.open(self._path.parent, os.O_RDONLY)
            os.fsync(folder)
            os.close(folder)
        self._file.write((_json(row | {"at": row["at"].isoformat()}) + "\n").encode())
        os.fdatasync(self._file.fileno())
        self.rows += 1

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _fold_lock(folder: Path):
    from filelock import FileLock

    return FileLock(folder / "fold.lock")


@contextlib.contextmanager
def _unused(path: Path) -> Iterator[bool]:
    """Whether no living process writes this journal. If so, the journal is locked while the context lasts."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def _read(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a journal. A line that a crash cut off is skipped; its answer is generated again."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                row = json.loads(line)
                row["at"] = datetime.fromisoformat(row["at"])
                if row.keys() != set(GENERATIONS.column_names):
                    raise ValueError(f"columns {sorted(row)}")
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                log.warning("%s line %d is not a generation (%s); it will be generated again", path, number, error)
            else:
                yield row


def _row(key: str, engine: Engine, request: Request, answer: Answer, run_id: str) -> dict[str, Any]:
    return {
        "id": key,
        "parents": list(request.parents),
        "model": engine.name,
        "model_sha256": engine.sha256,
        "template_sha256": engine.template_sha256,
        "prompt": request.prompt,
        "messages": _json(request.chat()),
        "sampling": _json(request.sampling.settings()),
        "output_format": _json(asdict(request.output_format)) if request.output_format else None,
        "sample": request.sample,
        **asdict(answer),
        "run_id": run_id,
        "at": datetime.now(UTC),
    }


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
