"""The assets from rendered pages to dialogues, with a local endpoint that gives canned answers."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import dagster as dg
import polars as pl
import pytest

from nemotron_assets.evaluate.items.tables import BENCHMARKS
from nemotron_assets.held_out import held_out_first
from nemotron_assets.math import clean
from nemotron_assets.math.corpus import assets, checks
from nemotron_assets.math.corpus.mind import CONVERSATIONS
from nemotron_assets.math.corpus.tables import (
    CLEANED,
    CONTAMINATION,
    DUPLICATES,
    MATH_SCORERS,
    MATH_WRITER,
    MIND,
    NEMOTRON_CC_MATH,
    QUALITY,
)
from nemotron_assets.math.tables import CANDIDATE_PAGES, RENDERED
from nemotron_assets.recipe import load_recipe
from nemotron_assets.scorers.training import train_ridge
from nemotron_assets.table.ids import content_hash, row_id
from nemotron_assets.web.dedup.tables import DUPLICATES as WEB_DUPLICATES
from nemotron_assets.web.dedup.tables import REPEATED_SPANS
from nemotron_assets.web.quality.tables import QUALITY_SCORERS
from nemotron_assets.web.tables import DOCUMENTS
from resources.compute import Compute
from resources.generations import GENERATIONS
from resources.gpu import Gpu
from resources.lakehouse import Lakehouse
from tests.pages import hash_of
from tests.resources.endpoint import Endpoint
from tests.sql.lake import frame

SNAPSHOT, FILE = "CC-MAIN-2024-51", "a.warc.gz"
QUESTION = "How many primes below one hundred end in the digit seven, if one counts the number seven itself as well?"
MADE_HERE = [asset for asset in assets.ASSETS if asset is not assets.math_writer]
GRAPH = [*MADE_HERE, *checks.CHECKS]
OUTSIDE = (
    RENDERED,
    CANDIDATE_PAGES,
    DOCUMENTS,
    WEB_DUPLICATES,
    REPEATED_SPANS,
    BENCHMARKS,
    MATH_WRITER,
    QUALITY_SCORERS,
)


def _text(number: int) -> str:
    return (
        f"Home\n\nThe theorem number {number} says that the sum of the first numbers is known.\n\n"
        f"$$1 + 2 + \\dots + {number + 2} = \\frac{{{number + 2} \\cdot {number + 3}}}{{2}}$$\n\n"
        f"Proof number {number}. Let $n = {number + 2}$ and suppose that the identity holds; therefore it holds for "
        f"$n + {number + 1}$, because we add the same number {number} times on both sides of the equation."
    )


def _pages() -> list[dict]:
    texts = [_text(n) for n in range(12)]
    texts[4] = texts[3]  # the same page twice
    texts[5] += f"\n\nExercise. {QUESTION} Show that $p > {5}$."
    return [
        {
            "id": row_id(RENDERED.full_name, n),
            "parents": [f"page {n}"],
            "snapshot": SNAPSHOT,
            "warc_file": FILE,
            "url": f"https://math.example/{n}",
            "host": "math.example",
            "fetched_at": datetime(2024, 12, 1, n, tzinfo=UTC),
            "language": "en",
            "text": text,
            "characters": len(text),
            "formulas": 3,
            "content_hash": content_hash(text),
        }
        for n, text in enumerate(texts)
    ]


def _answer(body: dict) -> str:
    """The answer of a good model, except that it drops a formula of one page."""
    asked = body["messages"][-1]["content"]
    if asked.startswith("Turn the text below"):
        style = next(name for name, c in CONVERSATIONS.items() if c.setting in asked)
        who = CONVERSATIONS[style].speakers
        return "\n".join(
            f"{who[i % len(who)]}: In turn {i} the sum is $n(n+1)/2$, as the text says, and we go on from there."
            for i in range(4)
        )
    chunk = asked.split("\n\n", 1)[1].removeprefix("Home\n\n")
    return re.sub(r"\$n = \d+\$", "it", chunk) if "number 7 " in chunk else chunk.replace("\\frac", "\\dfrac")


@pytest.fixture(scope="module")
def done(tmp_path_factory, embedded_tokenizer):
    """All assets of the corpus, materialised twice on twelve pages."""
    folder = tmp_path_factory.mktemp("corpus")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NEMOTRON_HOME", str(folder))
        yield from _materialised(folder, embedded_tokenizer)


def _materialised(folder, tokenizer):
    recipe = load_recipe("laptop")
    numbers = recipe.math.corpus
    cleaner = numbers.cleaner.model_copy(update={"max_pages": None, "max_chunks": None, "chunk_tokens": 400})
    release = numbers.release.model_copy(update={"lowest_score": {"3": 0, "4plus": 1}})
    pollution = numbers.contamination.model_copy(update={"max_share": 0.5})
    corpus = {"cleaner": cleaner, "release": release, "contamination": pollution}
    recipe = recipe.with_sections(
        {"math.corpus": numbers.model_copy(update=corpus), "snapshots.crawl.source": "elsewhere"}
    )
    lake = Lakehouse(root=str(folder / "lake"), free_disk_mb=0)
    pages = _pages()
    lake.write(RENDERED, frame(RENDERED, pages), SNAPSHOT)
    places = [{**p, "id": f"c{n}", "warc_offset": n, "warc_length": 10} for n, p in enumerate(pages)]
    known = set(CANDIDATE_PAGES.column_names)
    lake.write(
        CANDIDATE_PAGES, frame(CANDIDATE_PAGES, [{k: v for k, v in p.items() if k in known} for p in places]), SNAPSHOT
    )
    web = {
        "snapshot": SNAPSHOT,
        "warc_file": FILE,
        "text": "plain",
        "language": "en",
        "fetched_at": pages[0]["fetched_at"],
    }
    documents = [{**web, "id": f"d{n}", "parents": [f"page {n}"], "url": pages[n]["url"]} for n in (0, 8)]
    lake.write(DOCUMENTS, frame(DOCUMENTS, documents), SNAPSHOT)
    dropped = {"id": "x", "parents": ["d8"], "snapshot": SNAPSHOT, "duplicate_of": "d0"}
    lake.write(WEB_DUPLICATES, frame(WEB_DUPLICATES, [dropped]), SNAPSHOT)
    item = {"id": "i", "benchmark": "gsm8k", "item": "gsm8k-1", "question": QUESTION, "answer": "Six of them."}
    lake.write(BENCHMARKS, frame(BENCHMARKS, [item]))
    uri, sha256 = lake.put_weights(tokenizer, "math_writer")
    writer = {"id": "w", "name": "editor", "uri": uri, "sha256": sha256, "at": datetime.now(UTC)}
    lake.write(MATH_WRITER, frame(MATH_WRITER, [writer]))
    made = train_ridge([p["text"] for p in pages], list(range(12)), [], numbers.quality, folder / "edu")
    uri, sha256 = lake.put_weights(made.folder, "edu")
    rows = [
        {
            "id": n,
            "name": n,
            "version": "1",
            "kind": "ridge",
            "uri": uri,
            "sha256": sha256,
            "metrics": "{}",
            "at": datetime.now(UTC),
        }
        for n in ("edu_a", "edu_b", "reference")
    ]
    lake.write(QUALITY_SCORERS, frame(QUALITY_SCORERS, rows))
    endpoint = Endpoint(_answer)
    with endpoint.serve() as url, dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("snapshot", [SNAPSHOT])
        compute = Compute(**recipe.compute.model_dump()).model_copy(update={"workers": 1})
        gpu = Gpu(backend="openai", base_url=url, structured_outputs="none", max_model_len=8_192)
        resources = {"io_manager": lake, "lake": lake, "recipe": recipe, "compute": compute, "gpu": gpu}
        partitioned = assets.cleaned.partitions_def
        inputs = [
            dg.AssetSpec(t.asset_key, partitions_def=partitioned if t.partition_by else None).with_io_manager_key(
                "io_manager"
            )
            for t in OUTSIDE
        ]

        def run(keys, partition):
            chosen = dg.AssetSelection.assets(*keys)
            return dg.materialize(
                [*GRAPH, *inputs],
                instance=instance,
                resources=resources,
                partition_key=partition,
                selection=chosen,
            )

        def run_all():
            results = [run([CLEANED.asset_key], SNAPSHOT), run([MATH_SCORERS.asset_key], None)]
            rest = [a.key for a in MADE_HERE if a.key not in (CLEANED.asset_key, MATH_SCORERS.asset_key)]
            results.append(run(rest, SNAPSHOT))
            return {(e.asset_key.path[-1], e.check_name): e for r in results for e in r.get_asset_check_evaluations()}

        first, asked = run_all(), len(endpoint.bodies)
        before = {t: lake.read(t).scan().collect() for t in (CLEANED, QUALITY, NEMOTRON_CC_MATH, MIND)}
        second = run_all()
        yield lake, pages, first, second, asked, len(endpoint.bodies), before


def test_all_checks_pass_and_a_rerun_asks_nothing_and_changes_nothing(done):
    lake, _, first, second, asked, asked_again, before = done
    assert len(first) == len(checks.CHECKS) and all(check.passed for check in first.values()), first
    assert all(check.passed for check in second.values())
    assert asked and asked_again == asked
    for table, rows in before.items():
        assert lake.read(table).scan().collect().equals(rows), table.full_name


def test_pages_are_cleaned_without_losing_a_formula(done):
    lake, pages, *_ = done
    rows = {row["parents"][0]: row for row in lake.read(CLEANED).scan().collect().iter_rows(named=True)}
    assert len(rows) == len(pages)
    for n, page in enumerate(pages):
        row = rows[page["id"]]
        assert clean.lost(page["text"], row["text"]) == 0
        assert row["outcomes"] == (["rules_dropped"] if n == 7 else ["kept"])
        assert not row["text"].startswith("Home") and row["generation_ids"]
        assert row["generator"] == (None if n == 7 else "editor")
    asked = lake.read(GENERATIONS).scan().filter(pl.col("prompt") == "math_clean").select("sampling").collect()
    assert '"top_k": 20' in asked["sampling"][0] or '"top_k":20' in asked["sampling"][0]


def test_duplicates_and_contaminated_pages_are_left_out(done):
    lake, pages, *_ = done
    cleaned = {row["id"]: row["parents"][0] for row in lake.read(CLEANED).scan().collect().iter_rows(named=True)}
    dropped = {cleaned[row[0]] for row in lake.read(DUPLICATES).scan().select("parents").collect()["parents"]}
    assert pages[4]["id"] in dropped and pages[3]["id"] not in dropped
    (found,) = lake.read(CONTAMINATION).scan().collect().to_dicts()
    assert (found["parents"], found["item"], found["removed"]) == ([pages[5]["id"]], "gsm8k-1", True)
    published = lake.read(NEMOTRON_CC_MATH).scan().collect()
    shown = {cleaned[row[0]] for row in published["parents"]}
    assert shown == {page["id"] for page in pages} - dropped - {pages[5]["id"]}
    by_url = {row["url"]: row for row in published.iter_rows(named=True)}
    hashes = [hash_of(page["url"]) for page in pages]
    wanted = {0: {hashes[0]}, 1: {hashes[1]}, 3: {hashes[3], hashes[4]}, 8: {hashes[8], hashes[0]}}
    for n, own in wanted.items():
        row = by_url[pages[n]["url"]]
        assert set(row["origin_hashes"]) == own and row["origin_hash"] == held_out_first(own)
    other = by_url[pages[1]["url"]]
    assert other["warc_id"] == "1:10"
    assert other["models_used"] == ["editor"]


def test_dialogues_have_all_seven_styles_and_their_pages_origin(done):
    lake, *_ = done
    rows = lake.read(MIND).scan().collect()
    assert set(rows["style"]) == set(CONVERSATIONS) and set(rows["category"]) == {"4plus_MIND"}
    published = lake.read(NEMOTRON_CC_MATH).scan().collect()
    origins = dict(published.select("id", "origin_hash").iter_rows())
    for row in rows.iter_rows(named=True):
        assert row["turns"] == 4 and row["origin_hash"] == origins[row["parents"][0]]
        assert row["generation_id"] in set(lake.read(GENERATIONS).scan().collect()["id"])
