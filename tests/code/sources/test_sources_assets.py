"""The assets of code/sources as Dagster runs them: every kind of source, every fate, and runs that change nothing."""

from __future__ import annotations

import json
import shutil
import tarfile

import dagster as dg
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nemotron_assets.code.sources.tables import (
    ATTRIBUTIONS,
    CONTENTS,
    DUPLICATES,
    FILES,
    METADATA,
    REJECTED_FILES,
    REPOSITORIES,
)
from nemotron_assets.recipe import current_recipe
from resources.repositories import SourceError
from tests.code.sources.house import failed, house
from tests.conftest import SAMPLE
from tests.resources.crawl_server import serving
from tests.resources.repositories.places import git, limits, repository, source, tar, zipped

MIT = b"MIT License\n\nPermission is hereby granted, free of charge, to any person obtaining a copy ...\n"
CODE = b"def area(width, height):\n    return width * height\n\n\nprint(area(3, 4))\n"
COMMIT = "aaaaaaaaaabbbbbbbbbbccccccccccdddddddddd"


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    """The embedded sample, run once."""
    made = house(tmp_path_factory.mktemp("sample"))
    result = made.run(current_recipe().code.sources)
    yield made, result
    made.compute.close()


def test_the_sample_is_read_whole(sample):
    made, result = sample
    assert failed(result) <= {"every_repository_is_attributed"}
    dump = pl.read_parquet(SAMPLE / "code" / "files.parquet")
    files = made.rows(FILES)
    assert made.rows(REPOSITORIES).height == 64
    assert files.height + made.rows(REJECTED_FILES).height == dump.height == 1036
    kept = files.join(dump.select("repo", "rel_path", data="content"), on=["repo", "rel_path"])
    utf8 = kept.filter(pl.col("encoding") == "utf-8")
    assert utf8.height > 1_000
    assert all(text.encode() == data for text, data in utf8.select("content", "data").iter_rows())
    assert set(made.rows(REJECTED_FILES)["fate"]) == {"binary"}
    assert set(files["parents"].explode()) == set(made.rows(REPOSITORIES)["id"])


def test_duplicates_of_the_sample_are_found_as_the_truth_has_them(sample):
    made, _ = sample
    files = made.rows(FILES).select("id", "content_hash", name=pl.col("repo") + ":" + pl.col("rel_path"))
    names = dict(files.select("id", "name").iter_rows())
    of = {
        names[row["parents"][0]]: (names[row["duplicate_of"]], row["kind"], row["similarity"])
        for row in made.rows(DUPLICATES).iter_rows(named=True)
    }
    truth = [json.loads(line) for line in (SAMPLE / "truth" / "code_duplicates.jsonl").read_text().splitlines()]
    exact = [[m for m in group["members"] if m in names.values()] for group in truth if group["kind"] == "exact"]
    exact = [group for group in exact if len(group) > 1]  # binaries have no text to be equal
    assert len(exact) >= 20
    for group in exact:
        kept = {of[member][0] if member in of else member for member in group}
        assert len(kept) == 1, f"{group} has more than one kept copy: {kept}"
    near = {frozenset((pair["a"], pair["b"])): pair["jaccard5"] for pair in truth if pair["kind"] == "near"}
    alike = {pair for pair, similarity in near.items() if similarity >= 0.85}
    assert len(alike) >= 3
    for one, other in map(tuple, alike):
        assert (of.get(one, ("",))[0] == other) or (of.get(other, ("",))[0] == one), (one, other)
    # Nothing is called a copy that the truth has never seen together, unless the texts are alike indeed.
    together = {frozenset((a, b)) for group in exact for a in group for b in group}
    for name, (kept, kind, similarity) in of.items():
        if kind == "exact":
            assert frozenset((name, kept)) in together
        else:
            assert similarity >= 0.8


def test_every_repository_brings_its_licence(sample):
    made, _ = sample
    rows = made.rows(ATTRIBUTIONS)
    assert set(made.rows(METADATA)["repo"]) - set(rows["repo"]) <= {"makamaka/Text-CSV"}
    assert not rows["repo"].str.starts_with("gnu/").any(), "a licence of what may not be used"
    attrs = rows.filter(pl.col("repo") == "python-attrs/attrs")
    assert "LICENSE" in attrs["rel_path"].to_list()
    assert "The MIT License (MIT)" in attrs.filter(pl.col("rel_path") == "LICENSE")["text"].item()
    lua = rows.filter(pl.col("repo") == "lua/lua")
    assert lua.height and lua["text"].str.contains("(?i)copyright").any()


def test_running_again_changes_nothing(sample):
    made, _ = sample
    before = {t: made.lake.read(t).content() for t in (FILES, DUPLICATES, METADATA, ATTRIBUTIONS)}
    again = made.run(current_recipe().code.sources)
    assert {t: made.lake.read(t).content() for t in before} == before
    (event,) = (e for e in again.get_asset_materialization_events() if e.asset_key == FILES.asset_key)
    metadata = event.materialization.metadata
    assert (metadata["parts_written"].value, metadata["parts_skipped"].value) == (0, 64)


@pytest.fixture
def shelf(tmp_path):
    """A folder with a source of every kind, each with what sources of its kind can hide."""
    dump = tmp_path / "dump"
    dump.mkdir()
    rows = [
        ("o/dump", COMMIT, "a.py", CODE),
        ("o/dump", COMMIT, "a.py", b"second\n"),
        ("o/dump", COMMIT, "../up.py", b"x = 1\n"),
        ("o/dump", COMMIT, "none.py", None),
        ("o/dump", COMMIT, "LICENSE", MIT),
        ("o/dump", COMMIT, "big.txt", b"x" * 200_000),
        ("o/../dump", COMMIT, "a.py", b"1"),
        ("o/dump", "no commit", "a.py", b"1"),
    ]
    table = pa.table(dict(zip(("repo", "commit_id", "rel_path", "content"), zip(*rows, strict=True), strict=True)))
    pq.write_table(table, dump / "files.parquet")
    gits = tmp_path / "gits"
    repository(gits / "o" / "git", {"b.go": b"package main\n\nfunc main() {}\n", "empty": b"", "LICENSE": MIT})
    (gits / "o" / "git" / "l.go").symlink_to("/etc/passwd")
    git(gits / "o" / "git", "add", "-A")
    git(gits / "o" / "git", "commit", "-q", "-m", "link")
    archives = tmp_path / "archives" / "o"
    archives.mkdir(parents=True)
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n"
    archives.joinpath("tar.tar.gz").write_bytes(
        tar(
            [
                ("t-1/c.c", b"int main(void) { return 0; }\n", {}),
                ("t-1/data.bin", pointer, {}),
                ("t-1/image.png", b"\x89PNG\0\0", {}),
                ("t-1/odd.txt", b"a \x81 b\n" * 9, {}),
                ("t-1/../../../evil.sh", b"rm -rf /\n", {}),
                ("t-1/device", None, {"type": tarfile.CHRTYPE}),
                ("t-1/COPYING", MIT, {}),
            ]
        )
    )
    archives.joinpath("zip.zip").write_bytes(zipped([("z/d.rs", b"fn main() {}\n"), ("z/LICENSE", MIT)]))
    archives.joinpath("broken.zip").write_bytes(b"PK\3\4 and nothing else")
    return tmp_path


def sources_of(shelf, **changes):
    return limits(
        sources=[
            source("dump", "parquet", shelf / "dump").model_dump(),
            source("gits", "git", shelf / "gits").model_dump(),
            source("archives", "archive", shelf / "archives").model_dump(),
        ],
        max_unreadable_share=0.5,
        **changes,
    )


def test_the_recipe_limits_the_repositories(shelf, tmp_path):
    made = house(tmp_path / "lake")
    made.run(sources_of(shelf, max_repositories=2))
    first = set(made.rows(REPOSITORIES)["repo"])
    assert len(first) == 2 and set(made.rows(FILES)["repo"]) == first
    made.run(sources_of(shelf))
    assert first < set(made.rows(REPOSITORIES)["repo"]), "without the limit, the others come to these"


def test_every_kind_of_source_and_every_fate(shelf, tmp_path):
    made = house(tmp_path / "lake")
    result = made.run(sources_of(shelf))
    assert failed(result) <= {"every_repository_is_attributed"}
    assert set(made.rows(REPOSITORIES).select("repo", "kind").iter_rows()) == {
        ("o/dump", "parquet"),
        ("o/git", "git"),
        ("o/tar", "archive"),
        ("o/zip", "archive"),
        ("o/broken", "archive"),
    }
    files = {
        (r, p): (lang, by)
        for r, p, lang, by in made.rows(FILES).select("repo", "rel_path", "language", "language_by").iter_rows()
    }
    assert {key: files[key] for key in files if "LICENSE" not in key[1] and "COPYING" not in key[1]} == {
        ("o/dump", "a.py"): ("Python", "extension"),
        ("o/git", "b.go"): ("Go", "extension"),
        ("o/tar", "c.c"): ("C", "extension"),
        ("o/zip", "d.rs"): ("Rust", "extension"),
    }
    rejected = {(r, p): fate for r, p, fate in made.rows(REJECTED_FILES).select("repo", "rel_path", "fate").iter_rows()}
    assert rejected == {
        ("o/dump", "a.py"): "duplicate_path",
        ("o/dump", "../up.py"): "path_unsafe",
        ("o/dump", "none.py"): "unreadable",
        ("o/dump", "big.txt"): "too_large",
        ("o/git", "empty"): "empty",
        ("o/git", "l.go"): "symlink",
        ("o/tar", "data.bin"): "lfs_pointer",
        ("o/tar", "image.png"): "binary",
        ("o/tar", "odd.txt"): "undecodable",
        ("o/tar", "../../../evil.sh"): "path_unsafe",
        ("o/tar", "device"): "special",
    }
    contents = {row["repo"]: row for row in made.rows(CONTENTS).iter_rows(named=True)}
    assert contents["o/broken"]["outcome"].startswith("damaged") and contents["o/broken"]["entries"] == 0
    assert contents["o/tar"]["licence_files"] == ["COPYING"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["archives", "dump", "gits", "lake"]


def test_sizes_that_no_table_can_hold_stop_no_other_repository(shelf, tmp_path):
    """A header of tar can name 2**87 bytes; a column of numbers ends at 2**63."""
    info = tarfile.TarInfo("h/huge")
    info.type, info.size = tarfile.LNKTYPE, 2**87
    (shelf / "archives" / "o" / "huge.tar").write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(10_240))
    made = house(tmp_path / "lake")
    made.run(sources_of(shelf))
    rows = made.rows(REJECTED_FILES).filter(pl.col("repo") == "o/huge")
    assert rows.select("rel_path", "fate", "bytes").rows() == [("huge", "special", None)]
    assert "o/zip" in made.rows(FILES)["repo"]


def test_what_waits_to_be_written_is_bounded_by_its_rows(shelf, tmp_path, monkeypatch):
    """Each of the repositories that are written together may have as many rejected entries as the recipe allows."""
    from nemotron_assets.code.sources import files

    held, store = [], files.RepositoryFiles._store

    def counted(self, removed):
        held.append(sum(len(totals.rejected) for _, group in self.waiting.values() for _, totals in group))
        store(self, removed)

    monkeypatch.setattr(files, "_REJECTED_PER_COMMIT", 1)
    monkeypatch.setattr(files.RepositoryFiles, "_store", counted)
    made = house(tmp_path / "lake")
    made.run(sources_of(shelf))
    assert len(held) > 3 and sum(held) == len(made.rows(REJECTED_FILES)) > 10


def test_repositories_that_are_skipped_are_counted_and_named(shelf):
    from nemotron_assets.code.sources.files import SkippedRepositories, offered_repositories
    from resources.repositories import ParquetDump

    skipped = SkippedRepositories()
    dump = ParquetDump("dump", shelf / "dump", limits())
    assert [r.repo for r in offered_repositories({"a": dump, "b": dump}, skipped)] == ["o/dump"]
    assert skipped == {"unusable name or commit": 4, "offered before": 1}
    assert f"1 (offered before): o/dump@{COMMIT}" in str(skipped)
    assert skipped.names["unusable name or commit"][:2] == [f"o/../dump@{COMMIT}", "o/dump@no commit"]


def test_only_what_has_changed_is_read_again(shelf, tmp_path):
    made = house(tmp_path / "lake")
    made.run(sources_of(shelf))
    before = made.rows(FILES)
    folder = shelf / "gits" / "o" / "git"
    (folder / "b.go").write_bytes(b"package main\n\nfunc main() { println(1) }\n")
    git(folder, "commit", "-qam", "changed")
    (shelf / "archives" / "o" / "zip.zip").unlink()
    result = made.run(sources_of(shelf))
    (event,) = (e for e in result.get_asset_materialization_events() if e.asset_key == FILES.asset_key)
    assert event.materialization.metadata["parts_written"].value == 1
    after = made.rows(FILES)
    assert set(after["repo"]) == {"o/dump", "o/git", "o/tar"} == set(made.rows(CONTENTS)["repo"]) - {"o/broken"}
    same = ["o/dump", "o/tar"]
    assert after.filter(pl.col("repo").is_in(same)).equals(before.filter(pl.col("repo").is_in(same)))
    assert failed(result) <= {"every_repository_is_attributed"}


def test_a_run_that_dies_before_the_totals_are_in_is_made_good(shelf, tmp_path, monkeypatch):
    from nemotron_assets.code.sources.files import RepositoryFiles

    made = house(tmp_path / "lake")
    with monkeypatch.context() as patch:
        patch.setattr(RepositoryFiles, "_store", lambda *_: (_ for _ in ()).throw(MemoryError("killed here")))
        with pytest.raises(MemoryError, match="killed here"):
            made.run(sources_of(shelf))
    assert made.lake.read(FILES).rows and not made.lake.read(CONTENTS).exists
    result = made.run(sources_of(shelf))
    assert failed(result) <= {"every_repository_is_attributed"}


def test_a_file_that_kills_its_worker_is_quarantined_and_counted(shelf, tmp_path, monkeypatch):
    from nemotron_assets.code.sources import files
    from tests.code.sources.poison import read_texts

    monkeypatch.setattr(files, "read_texts", read_texts)
    made = house(tmp_path / "lake")
    result = made.run(sources_of(shelf))
    assert failed(result) <= {"every_repository_is_attributed"}
    rejected = made.rows(REJECTED_FILES).filter(pl.col("fate") == "rejected")
    assert rejected.select("repo", "rel_path", "detail").rows() == [("o/zip", "d.rs", "worker_died")]
    assert set(made.rows(FILES).filter(pl.col("repo") == "o/zip")["rel_path"]) == {"LICENSE"}


def test_archives_of_a_server_are_fetched_politely_and_missing_ones_counted(tmp_path):
    """Laid out as codeload.github.com has them, on the loopback interface."""
    root = tmp_path / "www"
    (root / "o/here/tar.gz").mkdir(parents=True)
    (root / "o/here/tar.gz" / COMMIT).write_bytes(tar([("here-aaaa/a.py", CODE, {}), ("here-aaaa/LICENSE", MIT, {})]))
    listed = tmp_path / "list.jsonl"
    rows = [
        {"repo": "o/here", "commit_id": COMMIT, "stars": 7, "updated_at": "2025-04-29T00:00:00Z"},
        {"repo": "o/gone", "commit_id": COMMIT}, {"repo": "../evil", "commit_id": COMMIT}, {"commit_id": COMMIT}, 7,
    ]  # fmt: skip
    listed.write_text("\n".join(map(json.dumps, rows)))
    made = house(tmp_path / "lake")
    with serving(root) as server:
        server.faults.append((COMMIT, "drop"))
        hub = source("hub", "github", listed, url=server.url).model_dump()
        result = made.run(limits(sources=[hub], max_unreadable_share=0.5))
        assert failed(result) <= {"every_repository_is_attributed"}
        assert {agent for _, _, agent, _ in server.requests} == {current_recipe().snapshots.crawl.user_agent}
        asked = len(server.requests)
        made.run(limits(sources=[hub], max_unreadable_share=0.5))
        assert len(server.requests) == asked, "a commit that is in was fetched again"
    found = {row["repo"]: row for row in made.rows(REPOSITORIES).iter_rows(named=True)}
    assert set(found) == {"o/here", "o/gone"}
    assert (found["o/here"]["stars"], found["o/here"]["updated_at"].year) == (7, 2025)
    assert set(made.rows(FILES)["rel_path"]) == {"a.py", "LICENSE"}
    outcomes = dict(made.rows(CONTENTS).select("repo", "outcome").iter_rows())
    assert outcomes["o/here"] == "read" and outcomes["o/gone"].startswith("missing")


def test_a_source_that_is_not_there_says_what_to_do(tmp_path):
    made = house(tmp_path / "lake")
    with pytest.raises(SourceError, match="name a folder or file that does"):
        made.run(limits(sources=[source("x", "parquet", tmp_path / "nowhere").model_dump()]))
    (tmp_path / "odd").mkdir()
    pq.write_table(pa.table({"a": [1]}), tmp_path / "odd" / "files.parquet")
    with pytest.raises(SourceError, match="no column"):
        made.run(limits(sources=[source("x", "parquet", tmp_path / "odd").model_dump()]))


def test_no_sources_are_no_files(tmp_path):
    made = house(tmp_path / "lake")
    result = made.run(limits(sources=[]))
    assert not failed(result)
    assert made.lake.read(FILES).rows == made.lake.read(METADATA).rows == 0


def test_checks_find_what_is_wrong(shelf, tmp_path):
    """Each check fails for the damage it looks for."""
    from nemotron_assets.code.sources import checks

    made = house(tmp_path / "lake")
    made.run(sources_of(shelf))

    def outcome(check: dg.AssetChecksDefinition) -> bool:
        recipe = current_recipe().with_sections({"code.sources": sources_of(shelf)})
        resources = {"lake": made.lake, "recipe": recipe}
        (name,) = (key.name for key in check.check_keys)
        arguments = check.node_def.compute_fn.decorated_fn.__annotations__
        result = check.node_def.compute_fn.decorated_fn(**{k: v for k, v in resources.items() if k in arguments})
        assert name == check.node_def.compute_fn.decorated_fn.__name__
        return result.passed

    assert outcome(checks.every_entry_has_a_fate) and outcome(checks.metadata_is_complete)
    rejected = made.rows(REJECTED_FILES)
    made.lake.write(REJECTED_FILES, rejected.head(rejected.height - 1))
    assert not outcome(checks.every_entry_has_a_fate)
    metadata = made.rows(METADATA)
    made.lake.write(METADATA, metadata.with_columns(content_hash=pl.lit("0" * 32)))
    assert not outcome(checks.metadata_is_complete)
    duplicates = made.rows(DUPLICATES)
    made.lake.write(DUPLICATES, duplicates.head(0))
    assert duplicates.height and not outcome(checks.duplicates_name_kept_files)
    contents = made.rows(CONTENTS)
    made.lake.write(CONTENTS, contents.with_columns(outcome=pl.lit("damaged: all")))
    assert not outcome(checks.repositories_were_read)
    shutil.rmtree(tmp_path / "lake")
