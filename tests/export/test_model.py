"""A model of the lake as a folder: its files load, and its card tells what the lake knows, whatever the names are."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
import torch
import yaml
from click.testing import CliRunner

from nemotron_assets.blend.tables import PHASES
from nemotron_assets.code.quality.tables import CURATED
from nemotron_assets.commands.cli import cli
from nemotron_assets.evaluate.tables import BENCHMARK_SCORES
from nemotron_assets.export import ExportError
from nemotron_assets.export.model import export_model, find_version
from nemotron_assets.export.model_card import _interval
from nemotron_assets.models.tables import GENERATOR, TRAINING_EVENTS, TRAINING_METRICS
from nemotron_assets.pretrain.tables import BASE
from nemotron_assets.snapshots.tables import CATALOG
from resources.lakehouse import Lakehouse
from tests.export.dataset import card, fill, recipe
from tests.model import exported
from tests.sql.lake import frame

START = datetime(2026, 11, 1, 12, tzinfo=UTC)
HOSTILE = "MIT | <script>alert(1)</script>\n# Heading [click](https://bad.example) `x`"
PARAMETERS = 879_048


def write(lake: Lakehouse, table, rows, **options) -> None:
    lake.write(table, pl.from_arrow(frame(table, rows)), **options)


def model(lake: Lakehouse, folder: Path, version: int, **values) -> dict:
    uri, sha256 = lake.put_weights(folder, "base")
    row = {
        "id": f"{version}bc{version:029d}", "name": "laptop-base", "version": str(version), "uri": uri,
        "sha256": sha256, "parameters": PARAMETERS, "tokens_seen": 4_000, "steps": 4, "final_loss": 2.5,
        "precision": "fp8", "bf16_layers": ["model.layers.0.mixer.in_proj"],
        "source_versions": ["code.curated@1", "sft.contaminated@3", "web.nemotron_cc_v2@2"],
        "recipe_hash": f"hash {version}", "input_versions": ["blend.token_shards@7", "blend.phases@1"],
        "run_id": f"run {version}", "at": START + timedelta(hours=version),
    }  # fmt: skip
    return row | values


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """The files of a trained model, as an earlier program has saved them: config.json is that of transformers."""
    folder = tmp_path_factory.mktemp("weights") / "model"
    exported.write(folder)
    config = json.loads((folder / "config.json").read_text())
    del config["hybrid_override_pattern"]
    config["time_step_limit"] = [0.0, {"__float__": "Infinity"}]
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture
def lake(lake, weights) -> Lakehouse:
    """Two versions of a model, the second made from the first; what it was trained on; its training, and its scores."""
    first = model(lake, weights, 1)
    second = model(lake, weights, 2, parents=[first["id"]], sources=["models.base"])
    write(lake, BASE, [first, second], run_id="run 2", code_version="c0de")
    licences = ["MIT"] * 6 + ["Apache-2.0"] * 3 + [HOSTILE]
    files = [{"id": str(k), "license": name, "language": "Python"} for k, name in enumerate(licences)]
    write(lake, CURATED, files)
    fill(lake, {"High-Quality": 3, "Translated-Diverse-QA": 4})
    write(lake, CATALOG, [{"id": s, "snapshot": s, "source": "https://data.example", "in_window": True} for s in "ab"])
    shares = [("phase-1", 1, 0.75, 3, "code", 5), ("phase-1", 1, 0.75, 3, "crawl-high", 6),
              ("phase-2", 2, 0.25, 1, "code", 2), ("long-context", 3, None, 9, "code", 8)]  # fmt: skip
    names = ("phase", "number", "phase_share", "steps", "category", "tokens")
    phases = [dict(zip(names, row, strict=True)) | {"id": str(k)} for k, row in enumerate(shares)]
    write(lake, PHASES, phases)
    rows = ((1, 300, 600, "phase-1"), (3, 900, 1_800, "phase-1"), (4, 1_850, 1_800, "phase-2"))
    steps = [{
        "model": "laptop-base", "model_id": second["id"], "run_id": "run 2", "step": step, "tokens": step * 1_000,
        "loss": 3.0, "tokens_per_second": 500.0, "mfu": 0.46, "devices": "8 x NVIDIA H200", "phase": phase,
        "categories": ["code", "crawl-high"], "category_tokens": [code, web], "category_losses": [1.0, 2.0],
        "at": START + timedelta(seconds=2 * step),
    } for step, code, web, phase in rows]  # fmt: skip
    lake.append(TRAINING_METRICS, pl.from_arrow(frame(TRAINING_METRICS, steps)))
    left_out = [{"model_id": second["id"], "step": step, "kind": "spike", "at": START} for step in (2, 3)]
    lake.append(TRAINING_EVENTS, pl.from_arrow(frame(TRAINING_EVENTS, left_out)))
    scores = [("gsm8k", "exact_match,strict-match", 0.0, 0.0, None), ("held_out_code", "bits_per_byte", 2.0, 0.25, 3.5)]
    measured = [{
        "id": task, "model": "laptop-base", "model_id": second["id"], "model_version": "2", "task": task,
        "metric": metric, "value": value, "stderr": error, "samples": 4, "shots": 8, "gzip_bits_per_byte": gzip,
    } for task, metric, value, error, gzip in scores]  # fmt: skip
    write(lake, BENCHMARK_SCORES, measured)
    return lake


@torch.no_grad()
def test_the_folder_loads_and_says_what_the_lake_knows(lake, tmp_path):
    from huggingface_hub import ModelCard
    from huggingface_hub.utils import validate_repo_id
    from transformers import AutoModelForCausalLM, AutoTokenizer

    out = tmp_path / "out"
    done = export_model(lake, BASE, out, recipe())
    assert done.written and done.model["version"] == "2" and not list(tmp_path.glob("*.partial"))
    loaded = AutoModelForCausalLM.from_pretrained(out).eval()
    tokens = torch.tensor([exported.tokens(40, 1)])
    loaded_from_lake = AutoModelForCausalLM.from_pretrained(lake.get_weights(done.model["uri"])).eval()
    assert torch.equal(loaded(tokens).logits, loaded_from_lake(tokens).logits)
    assert AutoTokenizer.from_pretrained(out)("words")["input_ids"]
    config = json.loads((out / "config.json").read_text())
    assert config["hybrid_override_pattern"] == "M-M*-M-" and "time_step_limit" not in config

    matter, text = card(out)
    assert (matter["license"], matter["license_link"]) == ("other", "LICENSE.md") and (out / "LICENSE.md").exists()
    assert (matter["library_name"], matter["pipeline_tag"]) == ("transformers", "text-generation")
    assert matter["language"] == ["code", "de", "en", "ja"] and matter["base_model"] == ["laptop-base"]
    assert matter["datasets"] == ["code.curated", "web.nemotron_cc_v2"]
    for name in (*matter["datasets"], *matter["base_model"]):
        validate_repo_id(name)
    results = {r.dataset_type: r.metric_value for r in ModelCard.load(out / "README.md").data.eval_results}
    assert results == {"gsm8k": 0.0, "held_out_code": 2.0}

    assert "It is not a model of NVIDIA" in text
    assert f"| **parameters** | {PARAMETERS:,} |" in text and "| **context** | 256 tokens |" in text
    assert "| **trained in** | fp8 |" in text and "| **layers in BF16** | `model.layers.0.mixer.in_proj` |" in text
    assert "7 (3 Mamba-2, 1 attention, 3 FFN): `M-M*-M-`" in text
    assert "| `code.curated` | 1 | 10 | 1 | people |" in text
    assert "| category | phase-1, 3 steps | phase-2, 1 steps | all | share |" in text
    assert "| `code` | 900 | 950 | 1,850 | 50.7% |" in text and "| `crawl-high` | 1,800 | 0 | 1,800 | 49.3% |" in text
    assert "| **time** | 0 min 8 s of steps" in text and "| **hardware** | 8 x NVIDIA H200 |" in text
    assert "| **model FLOPs utilisation** | 46.0% |" in text
    assert "| **batches left out, resumes** | 2 spike (step 2, 3) |" in text
    assert "| `gsm8k` | exact_match,strict-match | 0.000 | 0.000 to 0.490 | - | - | 4 | 8 |" in text
    assert "| `held_out_code` | bits_per_byte | 2.000 | 1.510 to 2.490 | - | 3.500 | 4 | 8 |" in text
    for wanted in ("hash 2", "hash 1", "blend.phases@1", "web.nemotron_cc_v2@2", "asset version c0de", "run run 2"):
        assert wanted in text
    assert "MIT 60.0%, Apache-2.0 30.0%" in text and "commoncrawl.org/terms-of-use" in text


def test_hostile_names_stay_text(lake, tmp_path, weights):
    row = model(lake, weights, 3, name="a: |\n# b <b>*x*</b> [y](z)", run_id="<i>run</i>")
    write(lake, BASE, [row])
    export_model(lake, BASE, tmp_path / "out", recipe(licence_name="---\nx: {y} <img src=z> | `w`", licence_text=None))
    matter, text = card(tmp_path / "out")
    assert matter["license_name"] == "--- x: {y} <img src=z> | `w`" and "model-index" not in matter
    assert "# a: \\| # b &lt;b&gt;\\*x\\*&lt;/b&gt; \\[y\\](z), version 3\n" in text
    assert not [tag for tag in ("<script", "<b>", "<i>", "<img") if tag in text]
    assert (
        "MIT \\| &lt;script&gt;alert(1)&lt;/script&gt; # Heading \\[click\\](https://bad.example) \\`x\\` 10.0%" in text
    )
    headings = [line for line in text.splitlines() if line.startswith("#")]
    assert len(headings) == len([h for h in headings if "Heading" not in h and "x:" not in h])


def test_a_second_export_does_nothing_until_the_lake_knows_more(lake, tmp_path):
    out = tmp_path / "out"
    export_model(lake, BASE, out, recipe())
    before = {file: file.stat().st_mtime_ns for file in out.iterdir()}
    assert not export_model(lake, BASE, out, recipe()).written
    assert {file: file.stat().st_mtime_ns for file in out.iterdir()} == before
    score = {
        "id": "new",
        "length": 512,
        "model_id": find_version(lake, BASE)["id"],
        "task": "arc_easy",
        "metric": "acc",
    }
    write(lake, BENCHMARK_SCORES, [score])
    assert export_model(lake, BASE, out, recipe()).written and "arc_easy, 512 tokens" in (out / "README.md").read_text()
    (out / "model.safetensors").write_bytes(b"damaged")
    assert export_model(lake, BASE, out, recipe()).written
    (out / "mine.txt").write_text("mine")
    with pytest.raises(ExportError, match="holds files that no export wrote"):
        export_model(lake, BASE, out, recipe())
    moved = export_model(lake, BASE, out, recipe(), force=True).moved_aside
    assert (moved / "mine.txt").exists() and not (out / "mine.txt").exists()


def test_a_change_of_the_copy_leaves_the_lake_alone(lake, tmp_path):
    done = export_model(lake, BASE, tmp_path / "out", recipe())
    for file in (tmp_path / "out").iterdir():
        with file.open("r+b") as stream:
            stream.write(b"changed in place")
    assert list(lake.weights_damage(done.model["uri"])) == []


def test_damaged_or_unfit_weights_are_not_exported(lake, tmp_path, weights):
    folder = lake.get_weights(find_version(lake, BASE)["uri"])
    write(lake, BASE, [model(lake, weights, 4, parameters=7)])
    with pytest.raises(ExportError, match=r"cannot load laptop-base 4: 879,048 parameters instead of 7"):
        export_model(lake, BASE, tmp_path / "out", recipe())
    data = bytearray((folder / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (folder / "model.safetensors").write_bytes(data)
    with pytest.raises(ExportError, match=r"the files of laptop-base 4 in .* are damaged"):
        export_model(lake, BASE, tmp_path / "out", recipe())
    assert not (tmp_path / "out").exists()


def test_versions_are_named(lake):
    assert find_version(lake, BASE)["version"] == "2"
    for name, version in (("1", "1"), ("laptop-base@1", "1"), ("laptop-base", "2"), ("1bc0000", "1")):
        assert find_version(lake, BASE, name)["version"] == version
    with pytest.raises(ExportError, match=r"the table has no version '9'; name one of laptop-base@1, laptop-base@2"):
        find_version(lake, BASE, "9")
    with pytest.raises(ExportError, match=r"models\.generator has no model yet"):
        find_version(lake, GENERATOR)


def test_a_model_of_others_keeps_its_card(lake, tmp_path, weights):
    folder = tmp_path / "theirs"
    folder.mkdir()
    (folder / "README.md").write_text("their card")
    (folder / "model.bin").write_bytes(b"weights")
    uri, sha256 = lake.put_weights(folder, "generator")
    write(lake, GENERATOR, [{"id": "g", "name": "Theirs", "version": "1", "uri": uri, "sha256": sha256}])
    export_model(lake, GENERATOR, tmp_path / "out", recipe())
    assert (tmp_path / "out" / "README.md").read_text() == "their card"
    assert not (tmp_path / "out" / "LICENSE.md").exists()


@pytest.mark.parametrize(("value", "samples", "low", "high"), [(0.0, 4, 0, 0.490), (0.5, 100, 0.404, 0.596)])
def test_intervals_of_shares_are_wilsons(value, samples, low, high):
    score = {"metric": "acc", "value": value, "stderr": None, "samples": samples}
    assert _interval(score) == pytest.approx((low, high), abs=1e-3)


def test_the_command(lake, tmp_path, monkeypatch):
    monkeypatch.setenv("NEMOTRON_HOME", str(tmp_path))
    monkeypatch.setattr("nemotron_assets.commands.export.lake", lake)
    run, out = CliRunner(), str(tmp_path / "out")
    result = run.invoke(cli, ["export", "models/base", out, "--version", "1"], catch_exceptions=False)
    assert result.exit_code == 0 and "879048" in result.output.replace(",", "") and "written in" in result.output
    assert "version 1" in (tmp_path / "out" / "README.md").read_text()
    for wrong in (["models/base", out, "--partition", "S1"], ["web/nemotron_cc_v2", out, "--version", "1"]):
        with pytest.raises(ExportError, match=r"leave --(partition|version) out"):
            run.invoke(cli, ["export", *wrong], catch_exceptions=False)


def test_the_code_on_the_card_runs(lake, tmp_path):
    """The first example of the card, as a user copies it."""
    out = tmp_path / "out"
    export_model(lake, BASE, out, recipe())
    code = (out / "README.md").read_text().split("```python\n")[1].split("```")[0]
    code = code.replace("path/to/this/folder", str(out))
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0 and result.stdout.startswith("The sum of two and two is"), result.stderr[-2000:]


def test_front_matter_is_yaml(lake, tmp_path):
    export_model(lake, BASE, tmp_path / "out", recipe(licence="odc-by"))
    matter = yaml.safe_load((tmp_path / "out" / "README.md").read_text().split("---\n")[1])
    assert matter["license"] == "odc-by" and "license_name" not in matter
