"""The generation ledger: stores every request to a language model with its answer, so that no answer is paid for twice.

A finished completion is appended to a local journal and fsynced at once. Later it is folded into the Delta table
`llm.generations`. Its key is a hash of everything that decides the answer: weights, chat template, sampling, output
format, messages and sample number. A run that is killed and started again requests only the missing answers.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import logging
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from nemotron_assets.table.columns import ID, PARENTS
from nemotron_assets.table.schema import Column, Table
from resources.home import cache_dir
from resources.journal import Claims, Journal, LedgerError, adopt, fold_lock, mended, read_journal, to_json, unused

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
        Column(
            "messages",
            "string",
            "chat messages: a JSON list of objects with role and content; of a rollout one entry with the role "
            "rendered, the whole prompt in the chat template",
        ),
        Column(
            "sampling",
            "string",
            "sampling settings: a JSON object with temperature, top_p, max_tokens, stop and, if set, top_k; of a "
            "rollout also sampler (transformers or vllm) and, if set, budget: tokens of thought, grace, tokens for "
            "the answer; and draws: prompt, if its random numbers do not follow from the weights",
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
        Column("prompt_ids", "list[int32]", "token ids of the prompt of a rollout; else null", nullable=True),
        Column(
            "tokens",
            "list[int32]",
            "token ids of a rollout's answer, with the token that ended it; else null",
            nullable=True,
        ),
        Column(
            "logprobs",
            "list[float32]",
            "log-probability of each of these tokens under the distribution that it was sampled from, in nats; 0 for a "
            "forced token; null if it is not a rollout",
            nullable=True,
        ),
        Column(
            "forced",
            "list[bool]",
            "whether the thinking budget forced each of these tokens; null if it is not a rollout",
            nullable=True,
        ),
        Column(
            "endpoint",
            "string",
            "endpoint that answered: its name in the recipe, or its address without user, password and query; null for "
            "a model in the process of the run",
            nullable=True,
            volatile=True,
        ),
    ),
)
TABLES = [GENERATIONS]

#: What a `Completion` has of a row.
_ANSWER = ("text", "prompt_tokens", "output_tokens", "finish_reason", "tokens", "logprobs", "forced")
_WINDOW = 2_048  # requests that are looked up, answered and yielded together; bounds memory
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 1.0  # between looks at whether another process has an answer by now

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sampling:
    """How tokens are sampled. `max_tokens` limits the answer. With `top_k` None all tokens may be drawn.

    Of a rollout, `sampler` names the engine that samples, and `budget` is the thinking budget: tokens of thought (None:
    no limit), tokens of grace, and tokens kept for the answer. With `draws` "prompt", its random numbers follow from
    the prompt and the sample alone, so that two models are compared with equal luck; else from the weights too.
    """

    temperature: float
    top_p: float
    max_tokens: int
    stop: tuple[str, ...] = ()
    top_k: int | None = None
    sampler: str | None = None
    budget: tuple[int | None, int, int] | None = None
    draws: Literal["prompt"] | None = None

    def settings(self) -> dict[str, Any]:
        """The settings by name, without those that are None. So the keys of requests without `top_k` are those that
        were used before `top_k` existed; the same holds for `sampler`, `budget` and `draws`."""
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
    the key. `sample` tells repeated requests apart. A rollout gives the tokens of its prompt as `prompt_ids`, and the
    engine then gives the tokens of its answer.
    """

    prompt: str
    messages: tuple[tuple[str, str], ...]
    sampling: Sampling
    output_format: OutputFormat | None = None
    sample: int = 0
    parents: tuple[str, ...] = ()
    prompt_ids: tuple[int, ...] | None = None

    def chat(self) -> list[dict[str, str]]:
        """The messages in the form that chat templates and endpoints take."""
        return [{"role": role, "content": content} for role, content in self.messages]


@dataclass(frozen=True)
class Answer:
    """The answer of an engine to one request. A rollout also has its tokens, their log-probabilities, and which of them
    were forced. `endpoint` names the endpoint that answered, without any secret."""

    text: str
    prompt_tokens: int
    output_tokens: int
    finish_reason: str
    seconds: float
    tokens: list[int] | None = None
    logprobs: list[float] | None = None
    forced: list[bool] | None = None
    endpoint: str | None = None


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
    tokens: list[int] | None = None
    logprobs: list[float] | None = None
    forced: list[bool] | None = None


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
        *([request.prompt_ids] if request.prompt_ids is not None else ()),
    ]
    return hashlib.sha256(to_json(decides).encode()).hexdigest()[:32]


def journals(lake: Lakehouse) -> Path:
    """The folder with the journals and claims of a lake's ledger, which may not exist yet.

    It lies in the lake, so that all processes that see the lake share it: those of other homes, and of other machines
    if their file system has locks (NFS 4, Lustre, GPFS). For an object store, it is a folder in the cache of this home.
    """
    from resources.lakehouse.branch import root_of

    if lake.is_local:
        return Path(root_of(lake.root.rstrip("/"), GENERATIONS.full_name), "_ledger")
    return cache_dir("journal") / lake.identity


class Ledger:
    """Asks an engine only for answers that neither the Delta table nor a journal holds.

    Several processes may use the ledger of one lake at once. Each writes its own journal; the journal of a process that
    died is folded in by the next ledger. Of processes that want the same answer one asks, and the others wait for it.
    `folder` holds the journals and claims; by default it is that of `journals(lake)`.
    """

    def __init__(self, lake: Lakehouse, folder: Path | None = None, fold_every: int = 4_096, run_id: str = "") -> None:
        self._lake, self._folder, self._run_id = lake, folder or journals(lake), run_id
        self._folder.mkdir(parents=True, exist_ok=True)
        if folder is None:
            for name in (lake.identity, hashlib.sha256(lake.root.encode()).hexdigest()[:16]):
                adopt(cache_dir("journal") / name, self._folder)  # where earlier versions of the program kept them
        self._fold_every = fold_every
        self._kept: Journal | None = None
        self._own: dict[str, dict[str, Any]] = {}  # the rows of the journal that is kept open

    @contextlib.contextmanager
    def kept_open(self) -> Iterator[Ledger]:
        """For many small calls of `generate`, such as one per training step: the journal stays open, and the answers
        are folded into the table at the end of the context and when the journal is long, not after every call."""
        self.fold()
        self._kept = Journal(self._folder)
        try:
            yield self
        finally:
            self._kept.close()
            self._kept, self._own = None, {}
            self.fold()

    def generate(
        self, engine: Engine, requests: Iterable[Request], progress: Callable[[int, int, int], None] | None = None
    ) -> Iterator[Completion]:
        """Yield one completion per request, in the order of the requests.

        `progress(finished, new, new output tokens)` is called after every answer. Finished answers survive a kill of
        this process; unfinished ones are requested again next time. Raises RuntimeError when the engine leaves requests
        without an answer, and `LedgerError` when answers cannot be stored.
        """
        if self._kept is None:
            self.fold()
        counts = _Counts(progress)
        journal, claims = self._kept or Journal(self._folder), Claims(self._folder)
        try:
            requests = iter(requests)
            while window := list(itertools.islice(requests, _WINDOW)):
                keys = [generation_id(engine, request) for request in window]
                wanted: dict[str, Request] = {}
                for key, request in zip(keys, window, strict=True):
                    wanted.setdefault(key, request)
                counts.finished += len(window) - len(wanted)
                known, made = self._answers(engine, wanted, journal, claims, counts)
                for key, request in zip(keys, window, strict=True):
                    row = known[key]
                    yield Completion(key, request, **{name: row[name] for name in _ANSWER}, new=key in made)
                    made.discard(key)
                if journal.rows >= self._fold_every:
                    journal.close()
                    self._own = {}
                    self.fold()
        finally:
            claims.close()
            if journal is not self._kept:
                journal.close()
                self.fold()

    def _answers(
        self, engine: Engine, wanted: Mapping[str, Request], journal: Journal, claims: Claims, counts: _Counts
    ) -> tuple[dict[str, dict[str, Any]], set[str]]:
        """The rows of all wanted requests, and the keys of those that this call asked for."""
        known: dict[str, dict[str, Any]] = {}
        made: set[str] = set()
        pause = _FIRST_PAUSE_S
        while left := [key for key in wanted if key not in known]:
            mine = claims.take(left)
            # Whoever had claimed a key before has stored its answer by now, so the look-up follows the claim.
            found = self._known(set(mine))
            known |= found
            counts.finished += len(found)
            missing = {key: wanted[key] for key in mine if key not in found}
            for key in found:
                claims.release(key)
            if missing:
                self._check_free_disk()
            for key, answer in engine.run(missing.items()) if missing else ():
                known[key] = mended(_row(key, engine, missing[key], answer, self._run_id))
                journal.append(known[key])
                if journal is self._kept:
                    self._own[key] = known[key]
                made.add(key)
                claims.release(key)
                counts.add(known[key])
            if lost := missing.keys() - made:
                raise RuntimeError(f"{engine.name} gave no answer to {len(lost)} of {len(missing)} requests")
            if len(mine) < len(left):
                if pause == _FIRST_PAUSE_S:
                    log.info("another process is asking for %d answers: waiting for them", len(left) - len(mine))
                time.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_S)
        return known, made

    def fold(self) -> int:
        """Move the journals that no process is writing into the Delta table; returns the number of new rows.

        A journal with lines that cannot be rows, such as those of another version of the program, is kept under another
        name: its answers were paid for.
        """
        import pyarrow as pa

        with fold_lock(self._folder), contextlib.ExitStack() as held:
            paths = [p for p in sorted(self._folder.glob("*.jsonl")) if held.enter_context(unused(p))]
            refused: dict[Path, list[int]] = {path: [] for path in paths}
            rows = {
                row["id"]: row for path in reversed(paths) for row in read_journal(path, GENERATIONS, refused[path])
            }
            # After a crash between the commit and the removal of a journal, the table has its rows already.
            folded = self._in_table(set(rows))
            fresh = [row for key, row in rows.items() if key not in folded]
            if fresh:
                self._lake.append(
                    GENERATIONS, pa.Table.from_pylist(fresh, GENERATIONS.arrow_schema()), run_id=self._run_id
                )
            for path in paths:
                if refused[path]:
                    path.rename(path.with_suffix(".refused"))
                else:
                    path.unlink()
        return len(fresh)

    def _known(self, keys: set[str]) -> dict[str, dict[str, Any]]:
        """The rows of these keys, from the table and from the journals of processes that are still running."""
        known = {key: self._own[key] for key in keys & self._own.keys()}
        keys = keys - known.keys()
        own = self._kept.path if self._kept else None
        for path in self._folder.glob("*.jsonl") if keys else ():
            if path == own:
                continue
            with contextlib.suppress(FileNotFoundError):  # it was folded meanwhile
                known.update((row["id"], row) for row in read_journal(path, GENERATIONS) if row["id"] in keys)
        # The table is read last: a journal that is removed has its rows in the table.
        return known | self._in_table(keys - known.keys())

    def _in_table(self, keys: set[str]) -> dict[str, dict[str, Any]]:
        import polars as pl

        reader = self._lake.read(GENERATIONS)
        if not keys or not reader.exists:
            return {}
        rows = reader.scan().filter(pl.col("id").is_in(sorted(keys))).select("id", *_ANSWER).collect(engine="streaming")
        return {row["id"]: row for row in rows.iter_rows(named=True)}

    def _check_free_disk(self) -> None:
        """Raise `LedgerError` before answers are paid for that the disk has no room for."""
        free = shutil.disk_usage(self._folder).free >> 20
        if free < self._lake.free_disk_mb:
            raise LedgerError(
                f"{self._folder} has {free} MB of free disk, less than storage.free_disk_mb = "
                f"{self._lake.free_disk_mb}: no answer was asked for. Free some space and run again."
            )


@dataclass
class _Counts:
    """How many requests are answered, how many of them by this call, and the tokens of the latter."""

    progress: Callable[[int, int, int], None] | None
    finished: int = 0
    new: int = 0
    tokens: int = 0

    def add(self, row: dict[str, Any]) -> None:
        """Count a new answer."""
        self.finished, self.new, self.tokens = self.finished + 1, self.new + 1, self.tokens + row["output_tokens"]
        if self.progress:
            self.progress(self.finished, self.new, self.tokens)


def _row(key: str, engine: Engine, request: Request, answer: Answer, run_id: str) -> dict[str, Any]:
    return {
        "id": key,
        "parents": list(request.parents),
        "model": engine.name,
        "model_sha256": engine.sha256,
        "template_sha256": engine.template_sha256,
        "prompt": request.prompt,
        "messages": to_json(request.chat()),
        "sampling": to_json(request.sampling.settings()),
        "output_format": to_json(asdict(request.output_format)) if request.output_format else None,
        "sample": request.sample,
        **asdict(answer),
        "run_id": run_id,
        "at": datetime.now(UTC),
        "prompt_ids": None if request.prompt_ids is None else list(request.prompt_ids),
    }
