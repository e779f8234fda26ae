"""The generation ledger: what was asked of a model and what it answered, so that no answer is ever paid for twice.

A finished completion is appended and fsynced to a local journal at once and folded into the Delta table
`llm.generations` later. The key is a hash of everything that decides the answer: weights, chat template, sampling,
output format, messages and sample number. A run that is killed and started again asks only for what is missing.
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
    "Every completion of a language model: the question, the settings, the answer and what it cost.",
    (
        Column(ID.name, ID.dtype, "sha256 (32 hex digits) of model, chat template, sampling, format, messages, sample"),
        Column(PARENTS.name, PARENTS.dtype, "ids of the rows that the first request with this key was made from"),
        Column("model", "string", "name of the model"),
        Column("model_sha256", "string", "sha256 over the files of the weights, or of the endpoint's model name"),
        Column("template_sha256", "string", "sha256 of the chat template; of the empty text behind an endpoint"),
        Column("prompt", "string", "name of the prompt, as diverse_qa"),
        Column("messages", "string", "the chat messages, as JSON"),
        Column("sampling", "string", "temperature, top_p, top_k if set, max_tokens and stop texts, as JSON"),
        Column("output_format", "string", "kind and text of the output grammar, as JSON", nullable=True),
        Column("sample", "int32", "number of the sample, where one question is asked several times"),
        Column("text", "string", "the answer"),
        Column("prompt_tokens", "int64", "tokens of the question with its chat template"),
        Column("output_tokens", "int64", "tokens of the answer"),
        Column("finish_reason", "string", "stop: ended by itself; length: cut at the limit"),
        Column("seconds", "float64", "from handing over the request to its end, in seconds", volatile=True),
        Column("run_id", "string", "Dagster run that paid for it", volatile=True),
        Column("at", "timestamp", "when it was finished", volatile=True),
    ),
)
TABLES = [GENERATIONS]

_WINDOW = 2_048  # requests looked up, run and put in order together; bounds memory

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn. `max_tokens` limits the answer; `top_k` None draws from all tokens."""

    temperature: float
    top_p: float
    max_tokens: int
    stop: tuple[str, ...] = ()
    top_k: int | None = None

    def settings(self) -> dict[str, Any]:
        """What is set, by name; what is asked of a model without `top_k` keeps the key it had before there was one."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class OutputFormat:
    """A grammar that the answer must match: a regular expression over the whole answer, or a JSON schema."""

    kind: Literal["regex", "json"]
    spec: str


@dataclass(frozen=True)
class Request:
    """One question. `messages` are (role, content) pairs; `parents` are the rows it was made from (not in the key)."""

    prompt: str
    messages: tuple[tuple[str, str], ...]
    sampling: Sampling
    output_format: OutputFormat | None = None
    sample: int = 0
    parents: tuple[str, ...] = ()

    def chat(self) -> list[dict[str, str]]:
        """The messages as chat templates and endpoints take them."""
        return [{"role": role, "content": content} for role, content in self.messages]


@dataclass(frozen=True)
class Answer:
    """What an engine returns for one request."""

    text: str
    prompt_tokens: int
    output_tokens: int
    finish_reason: str
    seconds: float


@dataclass(frozen=True)
class Completion:
    """An answer in the ledger; `id` is its key and `new` tells whether this call paid for it."""

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
    """The key of a request: equal keys have equal answers. 32 hex digits of a sha256."""
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
    """Asks an engine only for what neither the Delta table nor a journal holds.

    Several processes may use the ledger of one lake at once; each writes a journal of its own, and a journal whose
    process died is folded in by the next ledger. `folder` is for the journals (default: the cache, one per lake).
    """

    def __init__(self, lake: Lakehouse, folder: Path | None = None, fold_every: int = 4_096, run_id: str = "") -> None:
        place = hashlib.sha256(lake.root.encode()).hexdigest()[:16]
        self._lake, self._folder, self._run_id = lake, folder or cache_dir("journal") / place, run_id
        self._folder.mkdir(parents=True, exist_ok=True)
        self._fold_every = fold_every

    def generate(
        self, engine: Engine, requests: Iterable[Request], progress: Callable[[int, int, int], None] | None = None
    ) -> Iterator[Completion]:
        """Yield one completion per request, in the order of the requests.

        `progress(finished, new, new output tokens)` is called after every answer. Answers that are finished are kept
        whatever happens to this process; those the engine was still writing are asked for again next time.
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
                    raise RuntimeError(f"{engine.name} left {len(lost)} of {len(missing)} requests without an answer")
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
        """Move journals that nobody writes to any more into the Delta table; returns the number of new rows."""
        import pyarrow as pa

        with _fold_lock(self._folder), contextlib.ExitStack() as held:
            paths = [p for p in sorted(self._folder.glob("*.jsonl")) if held.enter_context(_unused(p))]
            rows = {row["id"]: row for path in reversed(paths) for row in _read(path)}
            # A crash between the commit and the removal of a journal leaves rows that are already in.
            folded = self._in_table(set(rows)) if rows else {}
            fresh = [row for key, row in rows.items() if key not in folded]
            if fresh:
                self._lake.append(
                    GENERATIONS, pa.Table.from_pylist(fresh, GENERATIONS.arrow_schema()), run_id=self._run_id
                )
            for path in paths:
                path.unlink()
        return len(fresh)

    def _known(self, keys: set[str]) -> dict[str, dict[str, Any]]:
        """The rows of these keys: in the table, or in the journal of a process that is still running."""
        known = self._in_table(keys)
        for path in self._folder.glob("*.jsonl"):
            with contextlib.suppress(FileNotFoundError):  # folded meanwhile by its owner; its answers are asked again
                known.update((row["id"], row) for row in _read(path) if row["id"] in keys)
        return known

    def _in_table(self, keys: set[str]) -> dict[str, dict[str, Any]]:
        import polars as pl

        reader = self._lake.read(GENERATIONS)
        if not reader.exists:
            return {}
        columns = ("id", "text", "prompt_tokens", "output_tokens", "finish_reason")
        rows = reader.scan().filter(pl.col("id").is_in(sorted(keys))).select(columns).collect(engine="streaming")
        return {row["id"]: row for row in rows.iter_rows(named=True)}


class _Journal:
    """A file of finished answers, one JSON object per line, each on the disk before the next is asked for.

    The file is locked while its process lives; the kernel releases the lock however the process ends.
    """

    def __init__(self, folder: Path) -> None:
        self._path, self._file, self.rows = folder / f"{time.time_ns()}-{uuid.uuid4().hex[:8]}.jsonl", None, 0

    def append(self, row: dict[str, Any]) -> None:
        if self._file is None:
            with _fold_lock(self._path.parent):  # else another process could fold and remove it before it is locked
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
    """Whether no living process writes this journal; if so it is locked meanwhile."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def _read(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a journal. A line torn by a crash is left out: its answer is asked for again."""
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
