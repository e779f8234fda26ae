"""The assets of candidate pages, their texts and the comparison of extractors; URL lists against a local server."""

from __future__ import annotations

import dagster as dg
import polars as pl
import pyarrow as pa
import pytest

from nemotron_assets.math import checks
from nemotron_assets.math import report as math_report
from nemotron_assets.math.assets import ASSETS
from nemotron_assets.math.audit import candidates_opted_out
from nemotron_assets.math.examples import compare_extractors, html_report
from nemotron_assets.math.lists import ListError, Pointers
from nemotron_assets.math.pages import opted_out
from nemotron_assets.math.tables import CANDIDATE_PAGES, EXTRACTION_EXAMPLES, RENDERED
from nemotron_assets.recipe import current_recipe
from nemotron_assets.recipe.math.pages import ExtractionExamples, MathCandidates, MathPages, UrlList
from nemotron_assets.recipe.web.privacy import OptOuts
from nemotron_assets.snapshots.assets import catalog, pages, records
from nemotron_assets.snapshots.tables import PAGES
from nemotron_assets.table.ids import content_hash
from nemotron_assets.text.opt_outs import OptedOut
from resources.compute import Compute
from resources.crawl import SAMPLE, Crawl
from resources.lakehouse import QUARANTINE, Lakehouse
from tests.resources.crawl_server import Server

SNAPSHOT = "CC-MAIN-2024-51"
INDEX = SAMPLE / f"cc-index/table/cc-main/warc/crawl={SNAPSHOT}/subset=warc/part-00000.parquet"


def run(lake: Lakehouse, recipe, crawl: Crawl, *assets) -> dg.ExecuteInProcessResult:
    compute = Compute(**recipe.compute.model_dump())
    resources = {"lake": lake, "io_manager": lake, "recipe": recipe, "compute": compute, "crawl": crawl}
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("snapshot", [SNAPSHOT])
        return dg.materialize(
            [catalog, pages, records, *ASSETS, *checks.CHECKS],
            instance=instance,
            resources=resources,
            partition_key=SNAPSHOT,
            selection=dg.AssetSelection.assets(*(asset.key for asset in assets)),
        )


@pytest.fixture(scope="module")
def materialized(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("home")
        patch.setenv("NEMOTRON_HOME", str(home))
        recipe = current_recipe()
        math = MathPages(examples=ExtractionExamples(pages=3, max_characters=500))
        recipe = recipe.with_sections({"math.pages": math})
        lake = Lakehouse(root=str(home / "lake"))
        crawl = Crawl.from_recipe(recipe.snapshots.crawl)
        yield lake, recipe, crawl, run(lake, recipe, crawl, pages, *ASSETS), home


def test_detector_on_the_sample(materialized):
    *_, result, _ = materialized
    evaluations = {e.check_name: e for e in result.get_asset_check_evaluations()}
    assert all(e.passed for e in evaluations.values())
    found = {name: value.value for name, value in evaluations["detector_finds_mathematics"].metadata.items()}
    assert found["recall"] >= 0.98 and found["precision"] >= 0.97 and found["pages_with_formulas"] > 70


def test_pages_that_opt_out_are_no_candidates(materialized):
    """The pages on a list and those that opt out themselves are counted; the check finds the ones that came through."""
    lake, *_ = materialized
    pages, candidates = lake.read(PAGES, SNAPSHOT), lake.read(CANDIDATE_PAGES, SNAPSHOT)
    host = candidates.scan().select(pl.col("host").mode().first()).collect().item()
    on_host = candidates.scan().filter(pl.col("host") == host).select(pl.len()).collect().item()
    lists = OptOuts(lines=(host,), signals=())
    assert candidates_opted_out(candidates, pages, lists) == {"on_a_list": on_host, "page_opts_out": 0}
    assert opted_out(pages, lists)["blocked_host"] >= on_host
    assert candidates_opted_out(candidates, pages, OptOuts()) == {"on_a_list": 0, "page_opts_out": 0}


def test_a_page_is_left_out_by_list_or_by_its_own_signal():
    batch = pa.RecordBatch.from_pydict(
        {"url": ["https://a.example/x", "https://b.example/x", "https://c.example/x", "https://d.example/x"],
         "opt_outs": [["noai"], ["noai"], [], ["tdm-reservation"]]}
    )  # fmt: skip
    recipe = OptOuts(lines=("a.example", "https://c.example/*"), signals=("noai",))
    assert OptedOut.of(recipe).reasons(batch) == ["blocked_host", "opt_out", "blocked_url", None]


def test_rendered_pages(materialized):
    lake, *_ = materialized
    rows = lake.read(RENDERED, SNAPSHOT).scan().collect()
    known = lake.read(PAGES, SNAPSHOT).scan().select("id").collect()["id"]
    assert rows["parents"].list.first().is_in(known.implode()).all()
    assert rows["formulas"].sum() > 3_000 and rows["code_blocks"].sum() > 1_000
    assert rows["encoding_counts"].list.sum().equals(rows["formulas"].cast(pl.Int32))
    assert (rows["language"] == "en").mean() > 0.9
    assert all(content_hash(text) == hash_ for text, hash_ in rows.select("text", "content_hash").iter_rows())
    assert math_report.rendered(rows.lazy(), SNAPSHOT)["formulas"] == rows["formulas"].sum()


def test_examples_keep_more_than_others(materialized):
    lake, *_, home = materialized
    rows = lake.read(EXTRACTION_EXAMPLES, SNAPSHOT).scan().collect()
    assert rows.height == 15 and rows["truth"].all() and rows["text"].str.len_chars().max() <= 500
    sums = dict(rows.group_by("extractor").agg(pl.col("kept").sum()).iter_rows())
    assert all(sums["ours"] > kept for name, kept in sums.items() if name != "ours")
    assert (home / "cache" / "reports" / f"extraction_examples-{SNAPSHOT}.html").stat().st_size > 5_000


def test_running_again_changes_nothing(materialized):
    lake, recipe, crawl, *_ = materialized
    versions = [lake.read(table, SNAPSHOT).content() for table in (CANDIDATE_PAGES, RENDERED, EXTRACTION_EXAMPLES)]
    run(lake, recipe, crawl, *ASSETS)
    assert versions == [lake.read(t, SNAPSHOT).content() for t in (CANDIDATE_PAGES, RENDERED, EXTRACTION_EXAMPLES)]


def test_the_report_escapes_everything():
    bad = "<script>alert(1)</script>"
    page = pl.DataFrame(
        {
            "parents": [["p"]],
            "url": [f"https://x.example/{bad}"],
            "text": [f"${bad}$ and {bad}"],
            "html": [f"<p>${bad}$</p>".encode()],
            "charset": ["utf-8"],
        }
    )
    rows = compare_extractors(page, {}, "S", ExtractionExamples())
    text = html_report(rows, f"S{bad}")
    assert "<script" not in text and "&lt;script&gt;" in text and "default-src 'none'" in text


# -- URL lists --------------------------------------------------------------------------------------------------------


@pytest.fixture
def server():
    import threading

    server = Server(SAMPLE)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def listed(where: str) -> pl.DataFrame:
    index = pl.read_parquet(INDEX).filter(pl.col("fetch_status") == 200, pl.col("url").str.contains(where))
    return index.select("url", "warc_filename", "warc_record_offset", "warc_record_length").head(4)


def test_listed_pages_are_fetched_by_range(server, tmp_path):
    urls, pointers = listed("mpmath"), listed("sqlite")
    urls.select("url").write_csv(tmp_path / "owm.csv")
    pl.concat([urls.select("url"), pl.DataFrame({"url": ["https://nowhere.example/"]})]).write_ndjson(
        tmp_path / "more.jsonl"
    )
    pointers.with_columns(
        # The first pointer leads into another snapshot, the second one to no record.
        warc_filename=pl.when(pl.int_range(pl.len()) == 0)
        .then(pl.lit("crawl-data/OTHER/x.warc.gz"))
        .otherwise("warc_filename"),
        warc_record_offset=pl.when(pl.int_range(pl.len()) == 1).then(7).otherwise("warc_record_offset"),
    ).write_parquet(tmp_path / "finemath.parquet")
    lists = (
        UrlList(name="owm", path=str(tmp_path / "owm.csv")),
        UrlList(name="more", path=str(tmp_path / "*.jsonl")),
        UrlList(name="finemath", path=str(tmp_path / "finemath.parquet")),
    )
    documents = current_recipe().web.documents
    blocked = documents.opt_outs.model_copy(update={"lines": (urls["url"][0],)})
    recipe = current_recipe().with_sections(
        {
            "math.pages": MathPages(candidates=MathCandidates(lists=lists, detector=False)),
            "web.documents": documents.model_copy(update={"opt_outs": blocked}),
        }
    )
    crawl = Crawl(source=server.url, backoff_s=0.01)
    lake = Lakehouse(root=str(tmp_path / "lake"))
    run(lake, recipe, crawl, ASSETS[0], ASSETS[1])
    rows = lake.read(CANDIDATE_PAGES, SNAPSHOT).scan().collect()
    urls = urls[1:]  # the first address is on an opt-out list: it is not even fetched
    assert set(rows["url"]) == set(urls["url"]) | set(pointers["url"][2:])
    assert rows["fetched"].all()
    lists_of = dict(rows.select("url", "lists").iter_rows())
    assert all(lists_of[url] == ["more", "owm"] for url in urls["url"])
    assert all(lists_of[url] == ["finemath"] for url in pointers["url"][2:])
    ranged = [r for path, r, *_ in server.requests if path.endswith(".warc.gz")]
    assert len(ranged) == 6 and all(ranged)
    stage = lake.read(QUARANTINE).scan().filter(pl.col("stage") == CANDIDATE_PAGES.full_name).collect()
    assert stage.height == 1 and lake.read(RENDERED, SNAPSHOT).rows > 0


def test_a_list_that_cannot_be_used_says_why(tmp_path):
    crawl = Crawl(source="sample")

    def read(name: str, content: str) -> None:
        (tmp_path / name).write_text(content)
        recipe = MathCandidates(lists=(UrlList(name="mine", path=str(tmp_path / name)),))
        with Pointers(recipe, crawl, SNAPSHOT):
            pass

    with (
        pytest.raises(ListError, match="there is no file"),
        Pointers(MathCandidates(lists=(UrlList(name="mine", path=str(tmp_path / "none.csv")),)), crawl, SNAPSHOT),
    ):
        pass
    with pytest.raises(ListError, match=r"a\.txt must end in one of \.parquet"):
        read("a.txt", "x")
    with pytest.raises(ListError, match=r"needs a column url.* it has b"):
        read("b.csv", "b\n1\n")
    with pytest.raises(ListError, match="cannot be read"):
        read("c.parquet", "no parquet")
