"""Seeds are read from files, bad lines are rejected; the models that write SFT data are found by the recipe's names."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import dagster as dg
import polars as pl
import pytest

from nemotron_assets.held_out import held_out_first
from nemotron_assets.models.registry import ModelError, newest
from nemotron_assets.models.tables import GENERATOR
from nemotron_assets.recipe import load_recipe
from nemotron_assets.sft.choosing import Lowest, seeds
from nemotron_assets.sft.inputs.assets import ASSETS, sft_writers
from nemotron_assets.sft.inputs.checks import CHECKS
from nemotron_assets.sft.inputs.seeds import files, read, with_pages
from nemotron_assets.sft.inputs.tables import SEEDS, SFT_WRITERS
from nemotron_assets.sft.rows import of_seeds
from nemotron_assets.web.dedup.tables import DUPLICATES
from nemotron_assets.web.tables import DOCUMENTS
from resources.lakehouse import QUARANTINE, Lakehouse
from tests.pages import hash_of
from tests.sql.lake import frame

GOOD = {"id": "q-0", "question": "How many legs has an ant?", "choices": ["6", "8"], "answer": "6", "topic": "biology"}


def _read(folder, lines) -> tuple[pl.DataFrame, list]:
    encoded = (line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines)
    (folder / "ants.jsonl").write_bytes(b"\n".join(encoded))
    rejects = []
    rows = pl.concat(read(str(folder), rejects.append))
    return rows.filter(rows["seed_set"] == "ants"), rejects


def test_the_sample_and_the_projects_own_seeds_are_whole():
    rejects = []
    rows = pl.concat(read("sample", rejects.append))
    counts = dict(rows.group_by("seed_set").len().iter_rows())
    assert not rejects and counts["stem_questions"] == 160 and counts["passages"] == 60 and counts["code_tasks"] >= 5
    assert rows["id"].n_unique() == rows.height and set(load_recipe("nano2").sft.seed_sets) <= counts.keys()
    assert rows["licence"].str.len_chars().min() > 0


def test_a_folder_replaces_the_projects_own_sets(tmp_path):
    (tmp_path / "logical.jsonl").write_text(json.dumps({"text": "All ants are small.", "question": "Is an ant big?"}))
    assert files(str(tmp_path))["logical"].parent == tmp_path and "math_problems" in files(str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"sft\.inputs\.folder"):
        files(str(tmp_path / "nothing"))


def test_a_seed_is_one_line(tmp_path):
    rows, rejects = _read(tmp_path, [GOOD, b"", {"text": "A passage \ud800 about ants."}])
    assert not rejects and rows["item"].to_list() == ["q-0", "ants-3"]
    assert rows["answer"].to_list() == ["6", None] and rows["text"].to_list()[1] == "A passage \ufffd about ants."
    again, _ = _read(tmp_path, [GOOD])
    assert again["id"][0] == rows["id"][0] and again["content_hash"][0] == rows["content_hash"][0]


@pytest.mark.parametrize(
    "line",
    [b"{", b"[1]", b"\xff", b'"text"', {"id": "x"}, GOOD | {"answer": "7"}, GOOD | {"question": 7},
     GOOD | {"choices": "6"}, GOOD | {"choices": [6, 8]}, {"text": "x" * 200_000}, b"[" * 100_000],
)  # fmt: skip
def test_a_line_that_is_no_seed_is_rejected(tmp_path, line):
    rows, rejects = _read(tmp_path, [line, GOOD])
    assert rows["item"].to_list() == ["q-0"]
    assert [reject.cause for reject in rejects] == ["broken_seed"] and "ants.jsonl line 1" in rejects[0].detail


def test_a_name_is_used_once(tmp_path):
    rows, rejects = _read(tmp_path, [GOOD, GOOD | {"question": "And a spider?"}])
    assert rows.height == 1 and "used twice" in rejects[0].detail


def test_what_is_written_from_a_seed_is_held_out_with_its_page(tmp_path):
    rows, _ = _read(
        tmp_path, [{"text": "Ants carry leaves.", "url": f"https://ants.example/{n}"} for n in "ab"] + [GOOD]
    )
    documents = pl.LazyFrame([{"id": name, "url": f"https://ants.example/{name}"} for name in "abc"])
    nothing = pl.LazyFrame(schema={"parents": pl.List(pl.String), "duplicate_of": pl.String})
    own = with_pages(rows, documents, nothing)
    a, b = (hash_of(f"https://ants.example/{name}") for name in "ab")
    assert own["page_hash"].to_list() == [a, b, None] and own.columns == rows.columns
    found = with_pages(rows, documents, pl.LazyFrame({"parents": [["a"]], "duplicate_of": ["b"]}))
    assert found["page_hash"].to_list() == [held_out_first([a, b]), b, None], "page a was dropped for page b"
    *carried, question = (of_seeds(seed).content_hash for seed in own.iter_rows(named=True))
    assert carried == [a, b] and question == rows["content_hash"][2]
    together = of_seeds(*own.iter_rows(named=True))
    assert together.content_hash == held_out_first([a, b, question]), "held out with each of its seeds"


def test_the_seeds_with_the_lowest_hashes_are_chosen():
    rows = pl.DataFrame({"seed_set": ["a", "a", "b", "a"], "content_hash": ["3", "1", "0", "2"], "id": list("wxyz")})
    assert [row["id"] for row in seeds(rows.lazy(), ["a"], 2)] == ["x", "z"]
    assert [row["id"] for row in seeds(rows.lazy(), ["a", "b"])] == ["y", "x", "z", "w"]
    assert seeds(rows.lazy(), ["a"], 0) == []
    lowest = Lowest(rows.lazy(), 3, ("id",))
    assert [[row["id"] for row in lowest] for _ in range(2)] == [["w", "x", "y"]] * 2


def test_every_model_of_the_recipe_is_in_the_lake_under_its_name(tmp_path, embedded_tokenizer):
    recipe = load_recipe("laptop")
    names = ("generator", "big/one")
    recipe = recipe.with_sections(
        {"sft.stem": recipe.sft.stem.model_copy(update={"generators": names}),
         "llm": recipe.llm.model_copy(update={"engine": "openai", "base_url": "http://127.0.0.1:9/v1"})}
    )  # fmt: skip
    lake = Lakehouse(root=str(tmp_path / "lake"), free_disk_mb=0)
    uri, sha256 = lake.put_weights(embedded_tokenizer, "generator")
    lake.write(GENERATOR, frame(GENERATOR, [{"id": "w", "name": "small", "uri": uri, "sha256": sha256,
                                             "at": datetime.now(UTC)}]))  # fmt: skip
    with dg.DagsterInstance.ephemeral() as instance:
        outside = [
            dg.AssetSpec(t.asset_key).with_io_manager_key("io_manager") for t in (GENERATOR, DOCUMENTS, DUPLICATES)
        ]
        for selection in ([*ASSETS, *CHECKS], [sft_writers]):
            done = dg.materialize(
                [*ASSETS, *CHECKS, *outside],
                instance=instance,
                selection=selection,
                resources={"io_manager": lake, "lake": lake, "recipe": recipe},
            )
            assert done.success and all(check.passed for check in done.get_asset_check_evaluations())
    models = lake.read(SFT_WRITERS)
    assert dict(models.scan().select("recipe_name", "name").collect().iter_rows()) == {
        "generator": "small", "big/one": "big/one"
    }  # fmt: skip
    assert models.rows == 2, "a second run stores nothing again"
    assert newest(models, "generator", column="recipe_name")["parents"] == ["w"]
    with pytest.raises(ModelError, match=r"sft_writers has no model 'huge/one' yet: materialise models/sft_writers"):
        newest(models, "huge/one", column="recipe_name")
    assert not lake.read(QUARANTINE).exists and lake.read(SEEDS).rows > 200
