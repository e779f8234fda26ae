"""Deduplication of the sample by the real assets, compared with the sample's truth and with all pairs of texts."""

from __future__ import annotations

import itertools
import json

import dagster as dg
import numpy as np
import polars as pl
import pytest

from nemotron_assets.dedup.jaccard import jaccard
from nemotron_assets.dedup.shingles import Shingling, by_characters, shingle_sets
from nemotron_assets.web.dedup.tables import (
    DUPLICATES,
    NEAR_DUPLICATES,
    REPEATED_SPANS,
    SIGNATURES,
    UNIQUE_DOCUMENTS,
)
from nemotron_assets.web.tables import DOCUMENTS
from tests.web.conftest import SNAPSHOTS, TRUTH


@pytest.fixture(scope="module")
def texts(house) -> pl.DataFrame:
    """Every distinct text at its earliest document, in the order of precedence."""
    lake, *_ = house
    documents = lake.read(DOCUMENTS).scan().sort("snapshot", "fetched_at", "id").collect()
    return documents.unique("content_hash", keep="first", maintain_order=True)


@pytest.fixture(scope="module")
def every_pair(texts) -> pl.DataFrame:
    """The similarity of all pairs of texts that share a shingle, found by counting."""
    sets = shingle_sets(texts["text"], Shingling("words", 5, 24), by_characters(texts["language"]))
    where: dict[int, list[int]] = {}
    for row in range(len(sets)):
        for value in sets[row].tolist():
            where.setdefault(value, []).append(row)
    left, right = zip(*{pair for rows in where.values() for pair in itertools.combinations(rows, 2)}, strict=True)
    similarity = jaccard(sets, np.array(left), np.array(right))
    hashes = texts["content_hash"]
    return pl.DataFrame({"early": hashes[list(left)], "late": hashes[list(right)], "similarity": similarity})


@pytest.fixture(scope="module")
def dropped(house) -> dict[str, dict]:
    """Rows of web.duplicates by document."""
    lake, *_ = house
    return {row["parents"][0]: row for row in lake.read(DUPLICATES).scan().collect().iter_rows(named=True)}


@pytest.fixture(scope="module")
def place(truth) -> dict[tuple[str, str], str]:
    return {(row["snapshot"], row["url"]): row["id"] for row in truth.iter_rows(named=True)}


def groups(*kinds: str) -> list[dict]:
    lines = (TRUTH / "duplicates.jsonl").read_text().splitlines()
    return [group for group in map(json.loads, lines) if group["kind"] in kinds]


def test_every_planted_copy_is_found(dropped, place):
    looked_at = 0
    for group in groups("exact"):
        ids = {place[tuple(member)] for member in group["members"] if tuple(member) in place}
        looked_at += len(ids) > 1
        kept = {dropped[document]["duplicate_of"] if document in dropped else document for document in ids}
        assert len(kept) <= 1, group
    assert looked_at > 50


def test_exact_copies_share_the_fate_of_their_text(truth, dropped):
    for _, same in truth.group_by("content_hash"):
        first, *rest = same.sort("snapshot", "fetched_at", "id")["id"]
        kept = dropped[first]["duplicate_of"] if first in dropped else first
        assert {dropped[document]["duplicate_of"] for document in rest} <= {kept}
        kinds = {dropped[document]["kind"] for document in rest}
        assert kinds <= ({"near"} if first in dropped else {"exact"})


def test_pairs_equal_a_comparison_of_all_texts(house, every_pair):
    lake, *_ = house
    pairs = lake.read(NEAR_DUPLICATES).scan().collect()
    known = {frozenset(row[:2]): row[2] for row in every_pair.iter_rows()}
    alike = {pair for pair, similarity in known.items() if similarity >= 0.8}
    found = {}
    for one, other, similarity in pairs.select("content_hash", "other_content_hash", "similarity").iter_rows():
        assert similarity == pytest.approx(known[frozenset((one, other))], abs=1e-12)
        found[frozenset((one, other))] = similarity
    assert found.keys() <= alike  # precision 1.0
    assert len(found) >= 0.99 * len(alike)
    assert len(alike) > 10


def test_dropped_texts_follow_the_rule(texts, every_pair, dropped):
    """A text is dropped if it is similar to an earlier kept text; it is a duplicate of the earliest such text."""
    alike: dict[str, list[str]] = {}
    for early, late, _ in every_pair.filter(pl.col("similarity") >= 0.8).iter_rows():
        alike.setdefault(late, []).append(early)
    order = {value: n for n, value in enumerate(texts["content_hash"])}
    ids = dict(texts.select("content_hash", "id").iter_rows())
    gone: dict[str, str] = {}
    for late in texts["content_hash"]:
        kept = [early for early in alike.get(late, ()) if early not in gone]
        if kept:
            gone[late] = ids[min(kept, key=order.__getitem__)]
    near = {texts_id: row["duplicate_of"] for texts_id, row in dropped.items() if row["kind"] == "near"}
    assert {document: near[document] for document in near.keys() & set(ids.values())} == {
        ids[late]: kept for late, kept in gone.items()
    }


def test_true_near_duplicates_are_joined(truth, dropped, place):
    """Groups of the truth whose texts in the pipeline also have a similarity of at least 0.85."""
    by_id = {row["id"]: row for row in truth.iter_rows(named=True)}
    joined = 0
    for group in groups("near", "near-found", "versions"):
        members = [place.get(tuple(member)) for member in group["members"]]
        for (one, other), similarity in zip(itertools.combinations(members, 2), group["jaccard5"], strict=True):
            if one is None or other is None or similarity < 0.85:
                continue
            pair = [by_id[one], by_id[other]]
            sets = shingle_sets(
                pl.Series([row["text"] for row in pair]), Shingling(), by_characters(row["language"] for row in pair)
            )
            if jaccard(sets, np.array([0]), np.array([1]))[0] < 0.85:
                continue
            joined += 1
            clusters = {dropped[document]["cluster"] if document in dropped else document for document in (one, other)}
            assert len(clusters) == 1, group
    assert joined >= 20


def test_rows_name_the_kept_document_its_snapshot_and_the_similarity(truth, dropped):
    snapshots = dict(truth.select("id", "snapshot").iter_rows())
    for document, row in dropped.items():
        assert row["snapshot"] == snapshots[document]
        assert row["duplicate_of_snapshot"] == snapshots[row["duplicate_of"]]
        assert row["duplicate_of"] not in dropped
        assert (row["similarity"] == 1.0) if row["kind"] == "exact" else (0.8 <= row["similarity"] < 1.0)


def test_signatures_are_datasketchs(house, texts):
    from datasketch import MinHash

    lake, *_ = house
    rows = lake.read(SIGNATURES).scan().select("content_hash", "signature", "unit").collect()
    assert set(rows["unit"]) == {"words", "characters"}
    chosen = rows.join(texts, on="content_hash").sort("content_hash").head(20)
    for text, language, signature in chosen.select("text", "language", "signature").iter_rows():
        shingles = shingle_sets(pl.Series([text]), Shingling("words", 5, 24), by_characters([language])).hashes
        reference = MinHash(num_perm=256, seed=42, scheme="affine32", hashfunc=int)
        reference.update_batch((shingles >> np.uint64(32)).tolist())
        ours = np.frombuffer(signature, "<u4")
        assert (ours == reference.hashvalues).all()
        assert MinHash(num_perm=256, seed=42, scheme="affine32", hashvalues=ours).jaccard(reference) == 1.0


def test_repeated_spans_are_in_their_documents_and_in_the_first(house):
    lake, *_ = house
    texts = dict(lake.read(DOCUMENTS).scan().select("id", "text").collect().iter_rows())
    spans = lake.read(REPEATED_SPANS).scan().filter(pl.col("why") == "repeated").collect()
    assert len(spans) > 20
    for row in spans.iter_rows(named=True):
        document = row["parents"][0]
        part = texts[document].encode()[row["start"] : row["end"]].decode()
        assert part
        if document != row["first_document"]:
            assert part[:20] in texts[row["first_document"]]


def test_unique_documents_are_the_remaining_documents(house, dropped):
    lake, *_ = house
    unique = lake.read(UNIQUE_DOCUMENTS).scan().collect()
    spans = lake.read(REPEATED_SPANS).scan().with_columns(document=pl.col("parents").list.first()).collect()
    gone = set(spans.filter(pl.col("why") != "repeated")["document"])
    assert unique["content_hash"].is_unique().all()
    kept = set(unique["parents"].list.first())
    documents = set(lake.read(DOCUMENTS).scan().select("id").collect()["id"])
    assert kept.isdisjoint(dropped) and gone.isdisjoint(dropped) and kept.isdisjoint(gone)
    assert kept | dropped.keys() | gone == documents
    cut = {row["document"]: row for row in spans.filter(pl.col("why") == "repeated").iter_rows(named=True)}
    for document, content, characters in unique.select(
        pl.col("parents").list.first(), "content_hash", "characters"
    ).iter_rows():
        if document in cut:
            assert (content, characters) == (cut[document]["rest_hash"], cut[document]["rest_characters"])


def test_a_late_snapshot_is_announced_to_what_depends_on_it(house):
    _, _, results, instance, *_ = house
    late = results[SNAPSHOTS[0]]
    for table in (NEAR_DUPLICATES, DUPLICATES, REPEATED_SPANS):
        announced = [
            e.step_materialization_data.materialization
            for e in late.all_events
            if e.is_step_materialization and e.asset_key == table.asset_key and e.partition == SNAPSHOTS[1]
        ]
        assert len(announced) == 1, table.full_name
        assert announced[0].metadata["rewritten_for"].value == SNAPSHOTS[0]
        wanted = dg.AssetRecordsFilter(asset_key=table.asset_key, asset_partitions=[SNAPSHOTS[1]])
        records = instance.fetch_materializations(wanted, limit=20).records
        codes = {record.asset_materialization.tags["dagster/code_version"] for record in records}
        assert len(codes) == 1
    # Only what is made of the rewritten partitions is stale.
    assert house.stale_on_arrival == [("unique_documents", SNAPSHOTS[1])]
