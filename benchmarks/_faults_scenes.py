"""The scenes of the kill campaign: small homes close to an interesting stage, each with the command that is killed.

All scenes share one recipe, one corpus of three snapshots, and one endpoint with canned answers. A home is prepared
once and copied for every kill. Every copy lies at the same path, so nothing differs between two runs but the kill.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
SNAPSHOTS = ("A-1", "B-2", "C-3")
DEDUP = ("documents", "signatures", "near_duplicates", "duplicates", "repeated_spans", "unique_documents")

#: The laptop's recipe, made small. Only few rows are annotated, and the model is trained for a few seconds.
RECIPE = """\
extends: laptop
name: faults
storage: {{free_disk_mb: 0}}
llm: {{engine: openai, model: canned, base_url: "{url}", concurrency: 4, timeout_s: 20, retries: 2, backoff_s: 0.2}}
web: {{quality: {{annotations: {{documents: 24, controls: 4}}}}}}
maintenance: {{min_files: 2, retention_hours: 1}}
tokenizer: {{vocabulary: 1024}}
blend: {{sequence_length: 64}}
model:
  {{hidden_size: 32, ffn_size: 64, head_dim: 8, mamba_heads: 4, mamba_head_dim: 16, mamba_state: 8, chunk_size: 16}}
train: {{base: {{tokens: 4096, batch_sequences: 4, micro_batch_sequences: 4, checkpoint_every: 2}}}}
"""


@dataclass(frozen=True)
class Scene:
    """A command on a prepared home.

    `arguments` follow `nemotron`. `after` names the scene whose finished home this one starts from; without it, the
    home does not exist yet. `replaced` says whether the files that are ingested are those of the second delivery.
    """

    name: str
    what: str
    arguments: tuple[str, ...]
    after: str | None = None
    replaced: bool = False


def _run(*tables: str) -> tuple[str, ...]:
    return ("run", " or ".join(tables))


def _ingest(snapshot: str) -> tuple[str, ...]:
    return ("ingest", f"files/{snapshot}", "--snapshot", snapshot, "--text-column", "text", "--url-column", "url")


WEB = _run("snapshots/pages", *(f"web/{name}" for name in DEDUP))
TEXTS = _run("web/documents", "web/signatures")
SCENES = {
    scene.name: scene
    for scene in (
        Scene("first use", "the first second of an empty home", _run("snapshots/catalog")),
        Scene("ingest", "ingestion in parts into an empty home", _ingest("B-2")),
        Scene("replace", "files of a snapshot changed, dropped and added", _ingest("B-2"), "ingest", replaced=True),
        Scene("web", "text and deduplication of a snapshot", WEB, after="ingest"),
        Scene("second", "another snapshot is ingested", _ingest("C-3"), after="web"),
        Scene("grow", "text and deduplication of the other snapshot", WEB, after="second"),
        Scene("late", "an earlier snapshot is ingested", _ingest("A-1"), after="grow"),
        Scene("texts", "text and signatures of the earlier snapshot", TEXTS, after="late"),
        Scene("dedup", "an earlier snapshot rewrites partitions of later ones", WEB, after="texts"),
        Scene("generator", "the tokenizer of the model behind the endpoint", _run("models/generator"), after="dedup"),
        Scene("generate", "annotations through an endpoint", _run("web/annotations"), after="generator"),
        Scene("maintain", "compaction and vacuum", ("maintain",), after="dedup"),
        Scene("train", "training with checkpoints", _run("models/base"), after="shards"),
    )
}  # fmt: skip


# -- the corpus --------------------------------------------------------------------------------------------------------

_WORDS = (
    ("the river", "an old teacher", "our village", "the night train", "a young doctor", "the stone bridge"),
    ("carries", "remembers", "changes", "follows", "explains", "crosses", "protects", "slowly forgets"),
    (
        "the valley",
        "many small stories",
        "a long winter",
        "the market square",
        "two hundred people",
        "the first letter",
    ),
    ("before the harvest", "without a sound", "as every year", "for no clear reason", "in the early morning"),
)


def _text(base: int, changes: int) -> str:
    """One of many texts of 14 sentences. With `changes`, its last sentences are others: few make a near-duplicate."""
    kept, other = random.Random(f"text {base}"), random.Random(f"text {base} changed {changes}")
    sentences = []
    for number in range(14):
        drawn = other if number >= 14 - changes else kept
        words = " ".join(drawn.choice(words) for words in _WORDS)
        sentences.append(f"{words.capitalize()} in {drawn.randint(1200, 2020)}.")
    return " ".join(sentences)


def write_files(folder: Path, snapshot: str, *, second: bool = False, documents: int = 12) -> None:
    """Write the files of a snapshot, six of them with a few documents each; the same texts occur in all snapshots.

    In the second delivery one file changed, one is missing and one is new.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    numbers = [0, 1, 2, 3, 5, 6] if second else [0, 1, 2, 3, 4, 5]
    for file in numbers:
        drawn = random.Random(f"{snapshot} {file}")
        if second and file == 2:
            drawn = random.Random(f"{snapshot} {file} changed")
        lines = []
        for number in range(documents):
            text = _text(drawn.randrange(40), drawn.choice([0, 0, 1, 3, 8]))
            date = f"2024-03-0{1 + file}T{drawn.randrange(24):02}:00:00Z"  # without it, the time of the command counts
            url = f"https://{snapshot.lower()}.example/{file}/{number}"
            lines.append(json.dumps({"url": url, "date": date, "text": text}))
        (folder / f"part-{file}.jsonl").write_text("\n".join(lines) + "\n")


def answer(body: dict) -> str:
    """The canned answer to a request: a digit that follows from the request, after the time an answer takes."""
    time.sleep(0.25)
    return str(hashlib.sha256(json.dumps(body["messages"]).encode()).digest()[0] % 6)


# -- homes -------------------------------------------------------------------------------------------------------------


@dataclass
class Stage:
    """The folder in which scenes are played: `home` for the copy in use, `files` to ingest, `prepared` homes."""

    folder: Path
    url: str

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "recipe.yaml").write_text(RECIPE.format(url=self.url))

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def prepared(self, name: str) -> Path:
        return self.folder / "prepared" / name.replace(" ", "-")

    def environment(self) -> dict[str, str]:
        """The environment of every command that is played."""
        kept = {k: v for k, v in os.environ.items() if k not in ("NEMOTRON_LAKE", "DAGSTER_HOME")}
        return kept | {
            "NEMOTRON_HOME": str(self.home),
            "NEMOTRON_RECIPE": str(self.folder / "recipe.yaml"),
            "PYTHONPATH": str(PROJECT),
            "PYTHONUNBUFFERED": "1",
        }

    def start(self, arguments: tuple[str, ...]) -> subprocess.Popen:
        """Start a `nemotron` command in a session of its own; its output is a pipe."""
        return subprocess.Popen(
            [sys.executable, "-m", "nemotron_assets.commands", *arguments],
            cwd=self.folder,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            text=True,
            errors="replace",
        )

    def set_up(self, scene: Scene) -> None:
        """Put a copy of the home that the scene starts from in place, and the files that it ingests."""
        shutil.rmtree(self.home, ignore_errors=True)
        if scene.after:
            copy(self.prepared(scene.after), self.home)
        if scene.name == "maintain":
            _age(self.home)
        for snapshot in SNAPSHOTS:
            write_files(self.folder / "files" / snapshot, snapshot, second=scene.replaced and snapshot == "B-2")

    def keep(self, name: str) -> None:
        """Move the home away, as the finished home of a scene."""
        target = self.prepared(name)
        shutil.rmtree(target, ignore_errors=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        self.home.rename(target)


def copy(source: Path, target: Path) -> None:
    """Copy a home. Data files and weights, which no writer ever changes, become hard links."""

    def link(old: str, new: str) -> None:
        if old.endswith((".parquet", ".safetensors")):
            os.link(old, new)
        else:
            shutil.copy2(old, new)

    shutil.copytree(source, target, copy_function=link, symlinks=True)


def _age(home: Path, hours: int = 48) -> None:
    """Make the files of a lake look two days old, so that maintenance deletes files of old versions."""
    log = re.compile(rb'("(?:deletionTimestamp|modificationTime|timestamp)":)(\d{13})')
    for path in (home / "lake").rglob("*"):
        if path.suffix == ".json" and path.parent.name == "_delta_log":
            older = log.sub(lambda m: m[1] + str(int(m[2]) - hours * 3_600_000).encode(), path.read_bytes())
            path.write_bytes(older)
        if path.is_file():
            # A hard link shares its times with the file it was copied from.
            os.utime(path, (time.time() - hours * 3600,) * 2)


def requests_of(bodies: list[dict]) -> list[int]:
    """The requests that the endpoint was sent, each by its seed, which follows from the key of the generation."""
    return [body["seed"] for body in bodies]


def paid_for(home: Path) -> set[int]:
    """The seeds of the requests whose answers are stored in the home: in the ledger or in a journal."""
    from resources.engines import _seed
    from resources.generations import GENERATIONS
    from resources.lakehouse import Lakehouse

    keys = set(Lakehouse(root=str(home / "lake")).read(GENERATIONS).scan().select("id").collect()["id"])
    return {_seed(key) for key in keys | set(_journal(home))}


def _journal(home: Path) -> Iterator[str]:
    for file in home.glob("lake/_ledger/*.jsonl"):
        for line in file.read_bytes().splitlines():
            try:
                yield json.loads(line)["id"]
            except (ValueError, KeyError):
                continue  # the last line of a killed writer may be cut off


def fill_shards(home: Path) -> None:
    """Write a lake with a tokenizer, packed sequences and phases, from which a small model can be trained."""
    import numpy as np
    import polars as pl

    from nemotron_assets.blend.tables import TOKENIZER
    from nemotron_assets.recipe import load_recipe
    from nemotron_assets.text import tokenizer as bpe
    from resources.lakehouse import Lakehouse
    from tests.blend.packed_lake import documents, write_packed

    shutil.rmtree(home, ignore_errors=True)
    lake = Lakehouse(root=str(home / "lake"), free_disk_mb=0)
    made = bpe.train([[_text(base, 0) for base in range(40)]], 1024, 32, 2)
    bpe.save(made, home / "cache" / "tokenizer", 64)
    uri, sha256 = lake.put_weights(home / "cache" / "tokenizer", "tokenizer")
    row: Mapping[str, object] = {
        "id": "t", "name": "bpe", "vocabulary": made.get_vocab_size(), "special_tokens": 32, "uri": uri,
        "sha256": sha256, "training_documents": 1, "training_bytes": 1, "bytes_per_token": 1.0,
    }  # fmt: skip
    lake.write(TOKENIZER, pl.DataFrame([row], schema=TOKENIZER.empty().schema))

    shards = {}
    for number, subset in enumerate(("High-Quality", "Diverse-QA")):
        rng = np.random.default_rng(number)
        tokens = [((rng.integers(50) + np.arange(63)) % 50 + 32).tolist() for _ in range(12)]
        name = f"web.nemotron_cc_v2/{subset}/S/000000"
        shards[name] = documents(name, tokens, ["web.nemotron_cc_v2@0"])
    recipe = home.parent / "shards.yaml"
    recipe.write_text(RECIPE.format(url="http://127.0.0.1:1/v1"))
    write_packed(lake, shards, load_recipe(str(recipe)))
