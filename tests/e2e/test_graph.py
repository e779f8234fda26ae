"""The whole graph on the sample, through the command a user types, killed twice on the way and moved once.

The first run is killed with SIGKILL while the language model answers, the second while the base model trains. Then the
home is copied to another place, and the original is deleted. The third run must finish in the copy without losing or
duplicating a row, and without generating an answer twice. All tests look at the lake of these three runs. Both homes
lie at paths that need quoting.

The recipe is the smallest (recipe.yaml beside this file). The tests look at rows, lineage and resuming; what the stages
reach in quality is judged by the benchmark `laptop` on the lake of `make run`.
"""

import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest

from nemotron_assets.align.conversations.tables import PROMPTS
from nemotron_assets.align.merging.tables import ALIGNED, MERGE_SCORES
from nemotron_assets.align.preference.tables import DPO, PREFERENCES
from nemotron_assets.align.reinforcement.tables import IFEVAL_RL, REWARD_MODEL, RLHF, ROLLOUTS
from nemotron_assets.align.tuning.tables import SFT_1, SFT_2, SFT_3
from nemotron_assets.blend.sources import source_tables
from nemotron_assets.blend.tables import SEQUENCES, TOKEN_SHARDS
from nemotron_assets.code.licences.tables import LICENSES
from nemotron_assets.code.qa.tables import QA as CODE_QA
from nemotron_assets.code.quality.tables import CURATED as CURATED_CODE
from nemotron_assets.compress.distilling.tables import COMPRESSED
from nemotron_assets.evaluate.report.tables import REPORT
from nemotron_assets.evaluate.tables import BENCHMARK_SCORES, BITS_BY_POSITION, RULER_ANSWERS, RULER_ITEMS
from nemotron_assets.held_out import page_hash
from nemotron_assets.math.corpus.tables import CLEANED, MIND, NEMOTRON_CC_MATH
from nemotron_assets.math.tables import RENDERED
from nemotron_assets.models.tables import TRAINING_METRICS
from nemotron_assets.pretrain.tables import BASE, LONG_CONTEXT
from nemotron_assets.snapshots.tables import PAGES, RECORDS
from nemotron_assets.stages import all_tables
from nemotron_assets.web.dedup.tables import DUPLICATES, UNIQUE_DOCUMENTS
from nemotron_assets.web.quality.tables import MULTILINGUAL
from nemotron_assets.web.release.tables import NEMOTRON_CC_V2
from nemotron_assets.web.tables import DOCUMENTS
from resources.generations import GENERATIONS
from resources.lakehouse import Lakehouse

pytestmark = [pytest.mark.e2e, pytest.mark.faults, pytest.mark.timeout(2400)]

PROJECT = Path(__file__).resolve().parents[2]
RECIPE = Path(__file__).with_name("recipe.yaml")
SECRET = "s3cret-8d1f-never-to-be-seen"


@dataclass
class Home:
    """A home with a lake, and the commands on it."""

    path: Path

    def start(self, *arguments: str) -> subprocess.Popen:
        environment = {
            **os.environ,
            "NEMOTRON_HOME": str(self.path),
            "NEMOTRON_RECIPE": str(RECIPE),
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "OPENAI_API_KEY": SECRET,
            "PYTHONUNBUFFERED": "1",
        }
        return subprocess.Popen(
            [sys.executable, "-m", "nemotron_assets.commands", *arguments],
            cwd=PROJECT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *arguments: str, code: int = 0) -> str:
        process = self.start(*arguments)
        output = process.communicate()[0]
        assert process.returncode == code, output[-5000:]
        return output

    def run_until(self, pattern: str, *arguments: str) -> str:
        """Run, and SIGKILL at the first line that matches."""
        process, lines = self.start(*arguments), []
        for line in process.stdout:
            lines.append(line)
            if re.search(pattern, line):
                process.send_signal(signal.SIGKILL)
                process.wait()
                return "".join(lines)
        raise AssertionError(f"the run ended before it printed {pattern!r}:\n{''.join(lines)[-5000:]}")

    def run_until_answered(self, step: str, *arguments: str) -> str:
        """Run, and SIGKILL when the language model has answered something in this step."""
        process, lines = self.start(*arguments), []
        for line in process.stdout:
            lines.append(line)
            if line.startswith(f"start   {step}"):
                deadline = time.monotonic() + 300
                while not _journal(self) and process.poll() is None and time.monotonic() < deadline:
                    time.sleep(0.01)
                process.send_signal(signal.SIGKILL)
                process.wait()
                return "".join(lines)
        raise AssertionError(f"the run ended before {step} started:\n{''.join(lines)[-5000:]}")

    @property
    def lake(self) -> Lakehouse:
        return Lakehouse(root=str(self.path / "lake"), free_disk_mb=0)

    def rows(self, table) -> pl.DataFrame:
        return self.lake.read(table).scan().collect()


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("home")
    first, home = Home(folder / "a lake+ü %20"), Home(folder / "copies" / "a copy@50%")
    home.first = first.run_until_answered("web/diverse_qa", "run")
    home.journal = _journal(first)
    home.second = first.run_until(r"models/base: step \d+", "run")
    shutil.copytree(first.path, home.path, symlinks=True)
    shutil.rmtree(first.path)
    home.third = home.run("run")
    return home


def _journal(home: Home) -> set[str]:
    """Keys of the answers that had reached the disk."""
    keys = set()
    for file in home.path.glob("lake/_ledger/*.jsonl"):
        for line in file.read_text().splitlines():
            try:
                keys.add(json.loads(line)["id"])
            except (json.JSONDecodeError, KeyError):
                continue  # the torn last line of a killed writer
    return keys


def test_the_report_shows_the_whole_run(home):
    """Every section that this recipe fills has figures, and the CPU seconds of the steps are among them."""
    from nemotron_assets.evaluate.report.inspecting import problems

    file = home.path / "report.html"
    assert f"The report: {file}" in home.third
    (row,) = home.rows(REPORT).to_dicts()
    assert row["html"] == file.read_text() and row["figures"] > 15
    assert list(problems(row["html"])) == []
    assert not {name for name in row["missing"] if name.startswith(("web.", "math.", "code.", "models.", "llm."))}
    assert "CPU seconds of the largest steps" in row["html"]


def test_finished_work_is_not_done_again(home):
    assert home.journal, "answers were on disk when the run was killed"
    generations = home.rows(GENERATIONS)
    assert generations["id"].is_unique().all()
    assert home.journal <= set(generations["id"])
    assert "made    snapshots/pages [CC-MAIN-2024-51]" in home.first
    assert "start   snapshots/pages" not in home.third
    assert "start   web/diverse_qa" not in home.third, "questions were finished in the second run"
    assert "models/base" in home.third


def test_every_table_is_whole(home):
    for table in all_tables().values():
        rows = home.rows(table)
        if "id" in rows.columns:
            assert rows["id"].is_unique().all(), table.full_name
    pages, records = home.rows(PAGES), home.rows(RECORDS)
    assert records.filter(pl.col("fate").is_in(["page", "charset_corrected"]))["records"].sum() == len(pages)
    documents, duplicates, unique = home.rows(DOCUMENTS), home.rows(DUPLICATES), home.rows(UNIQUE_DOCUMENTS)
    assert 0 < len(unique) <= len(documents) - len(duplicates), "some consist of repeated passages alone"
    assert unique["content_hash"].is_unique().all()
    assert set(duplicates["duplicate_of"]) <= set(documents["id"])
    shards = home.rows(TOKEN_SHARDS)
    used = set(shards.explode("parents")["parents"].unique())
    release, foreign = home.rows(NEMOTRON_CC_V2), home.rows(MULTILINGUAL)
    mathematics = {id for table in (NEMOTRON_CC_MATH, MIND) for id in home.rows(table)["id"]}
    code = {id for table in (CURATED_CODE, CODE_QA) for id in home.rows(table)["id"]}
    sft = {id for name in source_tables() if name.startswith("sft.") for id in home.rows(source_tables()[name])["id"]}
    assert used <= set(release["id"]) | set(foreign["id"]) | mathematics | code | sft
    assert used & mathematics and used & code
    assert home.rows(RENDERED)["formulas"].sum() == home.rows(CLEANED)["formulas"].sum() > 0
    curated, licences = home.rows(CURATED_CODE), home.rows(LICENSES)
    allowed = set(licences.filter(pl.col("decision") == "allowed")["file"])
    assert len(curated) > 0 and set(curated["parents"].list.first()) <= allowed
    assert set(foreign["content_hash"]) <= set(unique["content_hash"])
    assert set(release["origin_hash"]) <= set(unique.select(page_hash()).to_series())
    base = home.rows(BASE)
    assert len(base) == 1, "training was resumed, not started twice"
    metrics = home.rows(TRAINING_METRICS).sort("step")
    for model in (base, home.rows(LONG_CONTEXT)):
        steps = metrics.filter(model_id=model["id"][0])["step"]
        assert steps.is_unique().all() and steps.max() == model["steps"][0]
    assert metrics["loss"].is_finite().all()
    scores = home.rows(BENCHMARK_SCORES)
    (extended,) = home.rows(LONG_CONTEXT).to_dicts()
    assert extended["parents"] == base["id"].to_list() and extended["sources"] == ["models.base"]
    measured = {base["id"][0], extended["id"]}
    domains = {"held_out_english_web", "held_out_code", "held_out_sft"}
    suites, ruler = {"gsm8k", "arc_challenge"}, {"ruler", "ruler_needle_single"}
    (compressed,) = home.rows(COMPRESSED)["id"]
    wanted = {base["id"][0]: suites | ruler | domains, extended["id"]: ruler, compressed: suites | domains}
    for model, tasks in wanted.items():
        assert tasks <= set(scores.filter(model_id=model)["task"])
    bits = scores.filter(pl.col("task").is_in(list(domains)))
    assert not bits["gzip_bits_per_byte"].has_nulls() and (bits["unigram_bits_per_byte"] < 8).all()
    asked = home.rows(RULER_ANSWERS)
    items = dict(home.rows(RULER_ITEMS).select("id", "length").iter_rows())
    assert all(items[item] == length for item, length in asked.select("item", "length").iter_rows())
    lengths = {model: set(asked.filter(model_id=model)["length"]) for model in measured}
    assert lengths == {base["id"][0]: {512}, extended["id"]: {512, 1024}}, "up to the context of each model"
    positions = home.rows(BITS_BY_POSITION)
    assert {(m, first) for m, first in positions.select("model_id", "first_token").iter_rows()} == {
        (model, first) for model in measured for first in (0, 512)
    }
    assert any(source.startswith("code.curated@") for source in base["source_versions"][0])


def test_the_post_training_is_one_chain_of_models(home):
    """Each model continues the one before. What policies wrote leads to prompts and to generations."""
    chain = [home.rows(table).sort("at") for table in (LONG_CONTEXT, SFT_1, SFT_2, SFT_3, IFEVAL_RL, DPO)]
    in_use = [rows.filter(~pl.col("name").str.ends_with("untruncated")) for rows in chain]
    for before, after in itertools.pairwise(in_use):
        assert after["parents"][0].to_list() == before["id"].to_list()[-1:], after["name"][0]
        assert after["steps"].min() > 0
    rounds, (last, *_) = in_use[-1], home.rows(RLHF)["parents"].to_list()
    assert rounds["parents"][1].to_list() == [rounds["id"][0]], "the second round learns from the first one's policy"
    (judge,), (policy,) = home.rows(REWARD_MODEL).to_dicts(), home.rows(RLHF).to_dicts()
    assert last == [rounds["id"][1], judge["id"]]
    (merged,) = home.rows(ALIGNED).to_dicts()
    assert merged["parents"] == [rounds["id"][1], policy["id"]] and merged["sources"] == ["models.dpo", "models.rlhf"]
    prompts, pairs, rollouts = home.rows(PROMPTS), home.rows(PREFERENCES), home.rows(ROLLOUTS)
    answers = set(home.rows(GENERATIONS)["id"])
    for rows in (pairs, rollouts):
        assert len(rows) and set(rows.explode("parents")["parents"]) <= set(prompts["id"])
    assert set(pairs.explode("generation_ids")["generation_ids"].drop_nulls()) <= answers
    assert set(rollouts["generation_id"]) <= answers
    assert set(pairs.filter(kind="tools", round=2)["model_id"]) == {rounds["id"][0]}
    scores = home.rows(MERGE_SCORES)
    assert set(scores["alpha"]) == {0, 0.5, 1} and scores.filter("is_used")["alpha"].unique().to_list() == [0.5]
    held_out = set(prompts.filter(split="held_out")["id"])
    assert set(scores.explode("item_ids")["item_ids"]) <= held_out
    output = home.run("trace", merged["id"], "--backward")
    for found in (policy["id"], judge["id"], in_use[1]["id"][0], home.rows(BASE)["id"][0], "blend.token_shards"):
        assert found in output


def test_a_run_with_nothing_to_do_does_nothing(home):
    before = {name: home.lake.read(table).version for name, table in all_tables().items()}
    output = home.run("run")
    started = {line.split()[1] for line in output.splitlines() if line.startswith("start ")}
    assert started == {"snapshots/catalog"}, "only the catalogue runs every time, to find new snapshots"
    after = {name: home.lake.read(table).version for name, table in all_tables().items()}
    assert {n for n in before if before[n] != after[n]} <= {"snapshots.catalog"}


def test_a_training_sequence_leads_back_to_its_warc_record(home):
    sequences = home.rows(SEQUENCES).filter(part="512").sort("position", "shard")
    row = sequences.filter(pl.col("shard").str.contains("/CC-MAIN", literal=True)).row(3, named=True)
    output = home.run("trace", row["id"], "--read")
    assert "the same page" in output and "offset=" in output
    forward = home.run("trace", home.rows(UNIQUE_DOCUMENTS)["url"][0])
    assert "web.unique_documents" in forward and "snapshots.pages" in forward
    output = home.run("trace", sequences.filter(data_set="code.curated")["id"][0])
    assert "code.repositories" in output and "rel_path=" in output and "models.base" in output


def test_a_score_leads_back_to_a_warc_record(home):
    scores = home.rows(BENCHMARK_SCORES)
    extended, compressed = home.rows(LONG_CONTEXT)["id"][0], home.rows(COMPRESSED)["id"][0]
    score = scores.filter(model_id=compressed, task="held_out_english_web")["id"][0]
    output = home.run("trace", score, "--backward")
    for model in (compressed, home.rows(ALIGNED)["id"][0], extended, home.rows(BASE)["id"][0]):
        assert model in output
    assert "blend.token_shards" in output
    answer = home.rows(RULER_ANSWERS).filter(model_id=extended)["id"][0]
    output = home.run("trace", answer, "--backward")
    assert "evaluate.ruler_items" in output and "web.unique_documents" in output and "offset=" in output


def test_queries_and_reports(home):
    count = home.run("sql", "--csv", "-", "select count(*) from web.documents").split()
    assert int(count[-1]) == len(home.rows(DOCUMENTS))
    assert "CC-MAIN-2025-08" in home.run("sql", "--report", "funnel")
    assert "models.base" in home.run("tables")
    refused = home.run("sql", "delete from web.documents", code=1)
    assert "Traceback" not in refused


def test_the_release_is_exported_as_a_dataset(home, tmp_path):
    output = home.run("export", "web/nemotron_cc_v2", str(tmp_path / "hf"))
    assert "written in" in output
    files = sorted((tmp_path / "hf" / "data").glob("*/*.parquet"))
    rows = pl.concat([pl.read_parquet(file, columns=["id", "text"]) for file in files])
    assert set(rows["id"]) == set(home.rows(NEMOTRON_CC_V2)["id"]) and len(rows) == rows["id"].n_unique()
    assert "High-Quality" in (tmp_path / "hf" / "README.md").read_text()


def test_a_selection_that_names_nothing_is_refused(home):
    output = home.run("run", "web/documentz", code=1)
    assert "web/documents" in output and "Traceback" not in output
    assert "start " not in output


def test_no_secret_is_written_anywhere(home):
    found = [
        path
        for path in home.path.rglob("*")
        if path.is_file() and path.suffix not in (".safetensors", ".parquet") and SECRET.encode() in path.read_bytes()
    ]
    assert found == []
    assert SECRET not in home.first + home.second + home.third


def test_maintenance_keeps_what_scores_were_computed_from(home):
    output = home.run("maintain")
    assert "blend.token_shards" in output
    versions = home.rows(BASE)["input_versions"][0].to_list()
    shards = next(v for v in versions if v.startswith("blend.token_shards@"))
    import deltalake

    old = deltalake.DeltaTable(home.lake.path(TOKEN_SHARDS), version=int(shards.partition("@")[2]))
    assert old.to_pyarrow_table(columns=["id"]).num_rows == len(home.rows(TOKEN_SHARDS))


def test_every_data_file_is_as_its_commit_recorded_it(home):
    output = home.run("maintain", "--verify")
    assert "web.documents: " in output and "earlier version" not in output
    damaged = Path(home.lake.path(DOCUMENTS), home.lake.read(DOCUMENTS).stored()[0].path)
    whole = bytearray(damaged.read_bytes())
    whole[len(whole) // 2] ^= 1
    damaged.write_bytes(whole)
    output = home.run("maintain", "--verify", code=1)
    assert f"web.documents: the data file {damaged} has the xxh3-128 hash" in output
    whole[len(whole) // 2] ^= 1
    damaged.write_bytes(whole)
