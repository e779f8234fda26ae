"""Opt-outs and personal data on a small lake: the asset, its tables, its checks, and repeated runs."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from nemotron_assets.recipe import current_recipe
from nemotron_assets.recipe.web.documents import Documents
from nemotron_assets.recipe.web.privacy import Iban, OptOuts, PaymentCard, Phone, Privacy
from nemotron_assets.snapshots.tables import PAGES
from nemotron_assets.table.parts import Part, Parts
from nemotron_assets.text.opt_outs import OptOutError
from nemotron_assets.web.assets import documents, extraction, privacy
from nemotron_assets.web.checks import every_page_accounted_for, no_personal_data_left
from nemotron_assets.web.documents import SnapshotDocuments
from nemotron_assets.web.tables import DOCUMENTS, EXTRACTION, PRIVACY
from resources.compute import Compute
from resources.lakehouse import Lakehouse

SOURCE = dg.AssetSpec(PAGES.asset_key, partitions_def=documents.partitions_def)
PROSE = (
    "The lake lies between two ranges of hills, and the road that leads to it has been there for as long as anyone in "
    "the village can remember, but in the winter it is closed, because of all the snow that is on it. "
)
TEXTS = {
    "https://a.example/": PROSE * 2,
    "https://a.example/team": PROSE
    + "You can write to jroe@acme.com or to bob@acme.com, or call +49 30 123456. "
    + PROSE,
    "https://WWW.Blocked.Example.:8443/x": PROSE * 2,
    "https://b.example/people/jane": PROSE * 2,
    "https://b.example/pay": PROSE + "Please pay to DE44 5001 0517 5407 3249 31 before the end of the week. " + PROSE,
    "https://b.example/card": PROSE + "It was paid with the card 4539 9458 0730 2151 in the week before. " + PROSE,
    "https://b.example/empty": "",
}
LISTS = {
    "blocked.example": "https://WWW.Blocked.Example.:8443/x",
    "b.example/people/*": "https://b.example/people/jane",
}


def pages(titles: str = "The lake") -> pl.DataFrame:
    rows = [
        {
            "id": f"page{n}",
            "url": url,
            "warc_file": f"file{n % 2}",
            "html": f"<title>{titles}</title><p>{text}</p>".encode(),
        }
        for n, (url, text) in enumerate(TEXTS.items())
    ]
    return pl.DataFrame(rows).with_columns(
        snapshot=pl.lit("S"),
        host=pl.lit("h"),
        fetched_at=pl.lit(datetime(2025, 1, 1, tzinfo=UTC)),
        status=pl.lit(200, dtype=pl.Int32),
        mime=pl.lit("text/html"),
        charset=pl.lit("utf-8"),
        charset_source=pl.lit("header"),
        payload_digest=pl.lit(""),
        http_headers=pl.lit(None, dtype=pl.String),
        opt_outs=pl.Series([["noimageai"] if "card" in row["url"] else [] for row in rows], dtype=pl.List(pl.String)),
        content_hash=pl.lit(""),
        fate=pl.lit("page"),
        warc_offset=pl.lit(0, dtype=pl.Int64),
        warc_length=pl.lit(1, dtype=pl.Int64),
        warc_inner_offset=pl.lit(None, dtype=pl.Int64),
        parents=pl.lit([], dtype=pl.List(pl.String)),
    )


class House:
    """A lake with the pages above, and a way to run the extraction with any recipe."""

    def __init__(self, root: Path) -> None:
        self.lake = Lakehouse(root=str(root))
        self.compute = Compute(workers=1)
        frame = pages("The lake of jroe@acme.com")
        files = [(file, frame.filter(pl.col("warc_file") == file)) for file in ("file0", "file1")]
        self.lake.write(PAGES, Parts([Part(file, "1", lambda rows=rows: rows) for file, rows in files]), "S")

    def write(self, recipe: Documents, run_id: str = "r") -> int:
        """Run without Dagster; returns the number of parts written."""
        run = SnapshotDocuments(self.lake.read(PAGES, "S"), recipe, self.compute, self.lake, run_id)
        return self.lake.write(DOCUMENTS, run.parts(), "S").parts_written

    def rows(self, table) -> pl.DataFrame:
        rows = self.lake.read(table, "S").scan().collect().sort("id")
        return rows.drop("state") if "state" in rows.columns else rows

    def urls(self) -> set[str]:
        return set(self.rows(DOCUMENTS)["url"])

    def fates(self) -> dict[str, int]:
        return dict(self.rows(EXTRACTION).group_by("fate").agg(pl.col("pages").sum()).iter_rows())


@pytest.fixture
def house(tmp_path):
    made = House(tmp_path / "lake")
    yield made
    made.compute.close()


def recipe_of(opt_outs: OptOuts = OptOuts(), **rules) -> Documents:
    opt_outs = opt_outs.model_copy(
        update={"signals": opt_outs.signals if "signals" in opt_outs.model_fields_set else ()}
    )
    return current_recipe().web.documents.model_copy(update={"opt_outs": opt_outs, "privacy": Privacy(**rules)})


def test_the_asset_with_lists_and_rules(house, tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("# opted out\n" + "\n".join(LISTS) + "\n")
    own = recipe_of(
        OptOuts(files=(str(path),)),
        iban=Iban(action="drop"),
        payment_card=PaymentCard(action="keep"),
        phone=Phone(token="<phone number>"),
    )
    result = materialize(house, own)
    shown = {e.asset_key.to_user_string() for e in result.all_events if e.is_step_materialization}
    assert shown == {"web/documents", "web/extraction", "web/privacy"}
    checks = {e.check_name: e for e in result.get_asset_check_evaluations()}
    assert [e.passed for e in checks.values()] == [True, True]
    assert "blocked_host" in checks["every_page_accounted_for"].metadata["fates"].value
    assert "| email | replace | 4 | 6 |" in checks["no_personal_data_left"].metadata["found"].value
    assert checks["no_personal_data_left"].metadata["scanned"].value == 3

    assert house.fates() == {"document": 3, "blocked_host": 1, "blocked_url": 1, "personal_data": 1, "no_text": 1}
    kept = {row["url"]: row for row in house.rows(DOCUMENTS).iter_rows(named=True)}
    assert set(kept) == {"https://a.example/", "https://a.example/team", "https://b.example/card"}
    team = kept["https://a.example/team"]
    assert "write to [email] or to [email], or call <phone number>. The lake" in team["text"]
    assert team["title"] == "The lake of [email]"
    assert team["characters"] == len(team["text"])
    assert "4539 9458 0730 2151" in kept["https://b.example/card"]["text"]
    found = house.rows(PRIVACY).group_by("rule", "action").agg(pl.col("documents", "matches").sum()).sort("rule")
    # Titles count too, and so does the dropped document.
    assert found.rows() == [
        ("email", "replace", 4, 6),
        ("iban", "drop", 1, 1),
        ("payment_card", "keep", 1, 1),
        ("phone", "replace", 1, 1),
    ]


def test_a_page_that_opts_out_itself_is_left_out_by_the_signals_of_the_recipe_and_counted(house):
    house.write(recipe_of(OptOuts(signals=("noai", "tdm-reservation"))))
    assert "https://b.example/card" in house.urls() and "opt_out" not in house.fates()
    house.write(recipe_of(OptOuts(signals=("noimageai",))))
    assert "https://b.example/card" not in house.urls() and house.fates()["opt_out"] == 1
    both = OptOuts(lines=("b.example/card",), signals=("noimageai",))
    house.write(recipe_of(both))
    assert house.fates()["blocked_url"] == 1 and "opt_out" not in house.fates()
    assert set(OptOuts().signals) == {"noai", "noimageai", "tdm-reservation"}


def test_running_again_changes_nothing_until_a_list_does(house, tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("blocked.example\n")
    recipe = recipe_of(OptOuts(files=(str(path),)))
    assert house.write(recipe) == 2
    before = [house.rows(table) for table in (DOCUMENTS, EXTRACTION, PRIVACY)]
    assert house.write(recipe, "again") == 0
    path.write_text("blocked.example\nhttps://b.example/people/*\n")
    assert house.write(recipe, "stricter") == 2
    assert house.fates()["blocked_url"] == 1
    assert "https://b.example/people/jane" not in house.urls()
    path.write_text("blocked.example\n")
    assert house.write(recipe, "back") == 2
    assert all(a.equals(house.rows(table)) for a, table in zip(before, (DOCUMENTS, EXTRACTION, PRIVACY), strict=True))


@pytest.mark.parametrize("table", [PRIVACY, EXTRACTION], ids=["personal data", "fates"])
def test_killed_before_the_counts_are_in(house, monkeypatch, table):
    recipe = recipe_of()
    house.write(recipe)
    before = [house.rows(t) for t in (DOCUMENTS, EXTRACTION, PRIVACY)]
    replace = Lakehouse.replace

    def killed(self, written, *args, **kwargs):
        if written is table:
            raise KeyboardInterrupt
        return replace(self, written, *args, **kwargs)

    # The changed recipe makes both files again. The run is killed after the documents of the first file.
    changed = recipe.model_copy(update={"min_characters": recipe.min_characters + 1})
    monkeypatch.setattr(Lakehouse, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        house.write(changed, "killed")
    monkeypatch.undo()
    # The first file is made again although its documents are written, so that its counts agree with them.
    assert house.write(changed, "resumed") == 2
    assert all(a.equals(house.rows(t)) for a, t in zip(before, (DOCUMENTS, EXTRACTION, PRIVACY), strict=True))
    assert house.write(changed, "again") == 0


def materialize(house: House, documents_recipe: Documents) -> dg.ExecuteInProcessResult:
    recipe = current_recipe().with_sections({"web.documents": documents_recipe})
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("snapshot", ["S"])
        instance.report_runless_asset_event(dg.AssetMaterialization(PAGES.asset_key, partition="S"))
        return dg.materialize(
            [SOURCE, documents, extraction, privacy, every_page_accounted_for, no_personal_data_left],
            instance=instance,
            partition_key="S",
            selection=dg.AssetSelection.assets(documents.key),
            resources={"lake": house.lake, "io_manager": house.lake, "recipe": recipe, "compute": house.compute},
            raise_on_error=False,
        )


def test_checks_fail_when_something_is_left(house, monkeypatch):
    lax = recipe_of(**{name: {"action": "keep"} for name in Privacy().rules()})
    monkeypatch.setattr(
        "nemotron_assets.web.documents.SnapshotDocuments",
        lambda read, recipe, *others: SnapshotDocuments(read, lax, *others),
    )
    result = materialize(house, recipe_of(OptOuts(lines=tuple(LISTS))))
    checks = {e.check_name: e for e in result.get_asset_check_evaluations()}
    assert not checks["every_page_accounted_for"].passed
    assert checks["every_page_accounted_for"].metadata["opted_out"].value == 2
    assert not checks["no_personal_data_left"].passed
    left = checks["no_personal_data_left"].metadata["left"].value
    assert left == {"email": 8, "phone": 1, "iban": 1, "payment_card": 1}


def test_a_bad_list_stops_the_run_before_anything_is_written(house, tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("ok.example\nnot a host\n")
    with pytest.raises(OptOutError, match=r"list\.txt, line 2"):
        house.write(recipe_of(OptOuts(files=(str(path),))))
    assert not house.lake.read(DOCUMENTS, "S").exists


def test_the_lists_content_makes_the_asset_stale(tmp_path):
    """Two processes that load the definitions with different lists see different code versions."""
    (tmp_path / "own.yaml").write_text(
        f"extends: laptop\nname: own\nweb: {{documents: {{opt_outs: "
        f"{{files: [{json.dumps(str(tmp_path / 'list.txt'))}]}}}}}}\n"
    )
    program = (
        "from nemotron_assets.web.assets import documents as d; print(d.code_versions_by_key[d.key]);"
        "from nemotron_assets.recipe import current_recipe; print(current_recipe().section_hash('web.documents'))"
    )
    versions = []
    for content in ("a.example\n", "b.example\n", None):
        if content is None:
            (tmp_path / "list.txt").unlink()
        else:
            (tmp_path / "list.txt").write_text(content)
        done = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
            env={"NEMOTRON_RECIPE": str(tmp_path / "own.yaml"), "NEMOTRON_HOME": str(tmp_path)},
        )
        versions.append(done.stdout.split())
    assert len({version for version, _ in versions}) == 3
    assert len({section for _, section in versions}) == 1
