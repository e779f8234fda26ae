"""Texts are fetched again by their metadata and checked by their hashes, even if the repositories have changed."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nemotron_assets.code.sources.rebuild import OUTCOMES, Rebuilder, metadata_rows, source_at, write
from nemotron_assets.code.sources.text import decode
from nemotron_assets.recipe import current_recipe
from nemotron_assets.table.ids import content_hash
from resources.crawl import Crawl
from resources.repositories import SourceError
from tests.conftest import SAMPLE
from tests.resources.crawl_server import serving
from tests.resources.repositories.places import LIMITS, git, limits, repository, tar, zipped

COMMIT = "c" * 40
TEXTS = {"a.py": b"print(1)\n", "src/b.c": b"\xef\xbb\xbfint b;\n", "d/ü.txt": "grüße\n".encode("latin-1")}


def crawl() -> Crawl:
    return Crawl.from_recipe(current_recipe().snapshots.crawl)


def rows(contents=TEXTS, repo="o/r", commit=COMMIT):
    return [
        {"repo": repo, "commit_id": commit, "rel_path": path, "content_hash": content_hash(decode(data, 0.02).text)}
        for path, data in contents.items()
    ]


def outcomes(place, wanted, of=LIMITS):
    rebuilder = Rebuilder([source_at(str(place), of, crawl())], of)
    return {result.rel_path: result for result in rebuilder.rebuild(wanted)}


def test_the_sample_is_made_again_from_its_own_dump():
    import polars as pl

    dump = pl.read_parquet(SAMPLE / "code" / "files.parquet")
    wanted = [
        {"repo": r, "commit_id": c, "rel_path": p, "content_hash": content_hash(text)}
        for r, c, p, data in dump.select("repo", "commit_id", "rel_path", "content").iter_rows()
        if (text := decode(data, 0.02).text) is not None
    ]
    of = current_recipe().code.sources
    rebuilder = Rebuilder([source_at("sample", of, crawl())], of)
    for result, row in zip(rebuilder.rebuild(wanted), wanted, strict=True):
        assert content_hash(result.content) == row["content_hash"]
    assert rebuilder.counts == {"same": len(wanted)} and len(wanted) == 1_030


@pytest.fixture(params=["git", "bundle", "tar", "zip", "parquet"])
def place(request, tmp_path):
    """The same repository as every kind of source has it, and its commit there."""
    kind, shelf = request.param, tmp_path / "shelf"
    (shelf / "o").mkdir(parents=True)
    if kind == "git":
        return shelf, repository(shelf / "o" / "r", TEXTS)
    if kind == "bundle":
        commit = repository(tmp_path / "work", TEXTS)
        git(tmp_path / "work", "bundle", "create", str(shelf / "o" / "r.bundle"), "HEAD")
        return shelf, commit
    if kind == "tar":
        members = [(f"r-1/{path}", data, {}) for path, data in TEXTS.items()]
        (shelf / "o" / "r.tar.gz").write_bytes(tar(members, pax_headers={"comment": COMMIT}))
    elif kind == "zip":
        (shelf / "o" / "r.zip").write_bytes(zipped([(f"r-1/{p}", d) for p, d in TEXTS.items()], COMMIT.encode()))
    else:
        names = ("repo", "commit_id", "rel_path", "content")
        columns = zip(*(("o/r", COMMIT, path, data) for path, data in TEXTS.items()), strict=True)
        pq.write_table(pa.table(dict(zip(names, columns, strict=True))), shelf / "files.parquet")
    return shelf, COMMIT


def test_every_kind_of_source_gives_the_same_texts(place):
    shelf, commit = place
    found = outcomes(shelf, rows(commit=commit))
    assert {path: r.outcome for path, r in found.items()} == dict.fromkeys(TEXTS, "same")
    assert found["src/b.c"].content == "int b;\n" and found["d/ü.txt"].content == "grüße\n"
    short = outcomes(shelf, rows(commit=commit[:7]))
    assert {r.outcome for r in short.values()} == {"same"}, "the release names commits by their first seven digits"


def test_a_repository_that_has_its_sources_name_for_an_owner(tmp_path):
    """Elsewhere the source has another name; the commit says that it is the same."""
    commit = repository(tmp_path / "shelf" / "tool", TEXTS)
    assert {r.outcome for r in outcomes(tmp_path / "shelf", rows(repo="ours/tool", commit=commit)).values()} == {"same"}
    lost = outcomes(tmp_path / "shelf", rows(repo="ours/tool", commit="d" * 40))
    assert {r.outcome for r in lost.values()} == {"missing_repository"}


def test_an_earlier_commit_of_a_git_repository_is_read_as_it_was(tmp_path):
    folder = tmp_path / "o" / "r"
    first = repository(folder, {"a.py": b"print(1)\n"})
    (folder / "a.py").write_bytes(b"print(2)\n")
    git(folder, "commit", "-qam", "second")
    assert outcomes(tmp_path, rows({"a.py": b"print(1)\n"}, commit=first))["a.py"].outcome == "same"


def test_what_was_renamed_changed_or_lost_is_told_apart(tmp_path):
    names = ("repo", "commit_id", "rel_path", "content")
    held = {
        "new/a.py": b"print(1)\n",
        "b.py": b"changed\n",
        "c.bin": b"\0\1",
        "swapped.py": b"x = 2\n",
        "y.py": b"x = 3\n",
    }
    columns = zip(*(("o/r", COMMIT, path, data) for path, data in held.items()), strict=True)
    pq.write_table(pa.table(dict(zip(names, columns, strict=True))), tmp_path / "files.parquet")
    wanted = rows(
        {"a.py": b"print(1)\n", "b.py": b"was\n", "c.bin": b"text\n", "gone.py": b"4\n", "swapped.py": b"x = 3\n"}
    )
    wanted += rows({"z.py": b"1\n"}, repo="o/other") + rows({"w.py": b"1\n"}, commit="d" * 40)
    wanted += [{"repo": "o/r", "commit_id": COMMIT, "rel_path": "../up", "content_hash": "0"}]
    wanted += [{"repo": "../o", "commit_id": COMMIT, "rel_path": "v.py"}]
    found = outcomes(tmp_path, wanted)
    assert {path: r.outcome for path, r in found.items()} == {
        "a.py": "renamed",
        "b.py": "changed",
        "c.bin": "unreadable",
        "gone.py": "missing_file",
        "swapped.py": "renamed",
        "z.py": "missing_repository",
        "w.py": "missing_repository",
        "../up": "unusable_row",
        "v.py": "unusable_row",
    }
    assert (found["a.py"].path, found["a.py"].content) == ("new/a.py", "print(1)\n")
    assert (found["swapped.py"].path, found["swapped.py"].content) == ("y.py", "x = 3\n")
    assert found["b.py"].content is None
    assert {r.outcome for r in found.values()} <= set(OUTCOMES)


def test_metadata_without_hashes_gives_texts_that_are_not_proven(tmp_path):
    repository(tmp_path / "o" / "r", TEXTS)
    commit = git(tmp_path / "o" / "r", "rev-parse", "HEAD")
    bare = [{key: row[key] for key in ("repo", "commit_id", "rel_path")} for row in rows(commit=commit)]
    assert {r.outcome for r in outcomes(tmp_path, bare).values()} == {"unproven"}


def test_archives_of_a_server(tmp_path):
    folder = tmp_path / "o/r/tar.gz"
    folder.mkdir(parents=True)
    (folder / COMMIT).write_bytes(tar([(f"r-ccc/{path}", data, {}) for path, data in TEXTS.items()]))
    with serving(tmp_path) as server:
        found = outcomes(server.url, rows() + rows({"x.py": b"1\n"}, repo="o/gone"))
        assert len(server.requests) == 2, "one archive for all the files of a repository"
    assert {path: r.outcome for path, r in found.items()} == {
        **dict.fromkeys(TEXTS, "same"),
        "x.py": "missing_repository",
    }


def test_an_archive_over_the_limits_proves_nothing(tmp_path):
    (tmp_path / "o").mkdir()
    (tmp_path / "o" / "r.tar").write_bytes(
        tar([("r/a.py", b"x" * 50_000, {}), ("r/b.py", b"1", {})], mode="w", pax_headers={"comment": COMMIT})
    )
    wanted = rows({"a.py": b"x" * 50_000, "b.py": b"1"})
    found = outcomes(tmp_path, wanted, limits(max_file_mb=0.01))
    assert {path: r.outcome for path, r in found.items()} == {"a.py": "unreadable", "b.py": "same"}


def test_metadata_is_read_from_files_and_folders_and_texts_are_written(tmp_path):
    repository(tmp_path / "s" / "o" / "r", TEXTS)
    commit = git(tmp_path / "s" / "o" / "r", "rev-parse", "HEAD")
    (tmp_path / "m" / "data").mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows(commit=commit)), tmp_path / "m" / "data" / "train-00000-of-00001.parquet")
    read = list(metadata_rows(tmp_path / "m"))
    assert read == rows(commit=commit)
    rebuilder = Rebuilder([source_at(str(tmp_path / "s"), LIMITS, crawl())], LIMITS)
    write(rebuilder.rebuild(read), tmp_path / "out.parquet")
    texts = {row["rel_path"]: row["content"] for row in pq.read_table(tmp_path / "out.parquet").to_pylist()}
    assert texts == {path: decode(data, 0.02).text for path, data in TEXTS.items()}
    pq.write_table(pa.table({"a": [1]}), tmp_path / "odd.parquet")
    with pytest.raises(SourceError, match="no column"):
        list(metadata_rows(tmp_path / "odd.parquet"))
    with pytest.raises(SourceError, match="does not exist"):
        source_at(str(tmp_path / "nowhere"), LIMITS, crawl())


def test_the_command_prints_the_outcomes_and_writes_the_texts(tmp_path, capsys):
    from nemotron_assets.commands.rebuild import rebuild_command

    commit = repository(tmp_path / "s" / "o" / "r", TEXTS)
    wanted = rows(commit=commit) + rows({"lost.py": b"1\n"}, commit=commit)
    pq.write_table(pa.Table.from_pylist(wanted), tmp_path / "m.parquet")
    assert not rebuild_command(str(tmp_path / "m.parquet"), [str(tmp_path / "s")], tmp_path / "out.parquet")
    printed = capsys.readouterr().out
    assert OUTCOMES["same"] in printed and "lost.py" in printed and OUTCOMES["unproven"] not in printed
    assert pq.read_table(tmp_path / "out.parquet").num_rows == len(wanted)
    pq.write_table(pa.Table.from_pylist(rows(commit=commit)), tmp_path / "m.parquet")
    assert rebuild_command(str(tmp_path / "m.parquet"), [str(tmp_path / "s")], None)


def dumped(folder, held, repo="o/r", commit=COMMIT):
    names = ("repo", "commit_id", "rel_path", "content")
    columns = zip(*((repo, commit, path, data) for path, data in held.items()), strict=True)
    folder.mkdir(exist_ok=True)
    pq.write_table(pa.table(dict(zip(names, columns, strict=True))), folder / "files.parquet")
    return folder


def test_a_repository_that_could_not_be_read_whole_is_not_said_to_lack_a_file(tmp_path):
    (tmp_path / "o").mkdir()
    members = [("r/a.py", b"1\n", {}), ("r/b.py", b"x = 2\n" * 900, {})]
    data = tar(members, mode="w", pax_headers={"comment": COMMIT})
    (tmp_path / "o" / "r.tar").write_bytes(data[: data.index(b"x = 2\n") + 700])
    found = outcomes(tmp_path, rows({"a.py": b"1\n", "b.py": b"x = 2\n" * 900}))
    assert {path: r.outcome for path, r in found.items()} == {"a.py": "same", "b.py": "unread_repository"}
    assert found["b.py"].detail.startswith("damaged")


def test_commits_that_are_not_the_head_are_found_by_seven_digits(tmp_path):
    folder = tmp_path / "work"
    first = repository(folder, {"a.py": b"print(1)\n"})
    (folder / "a.py").write_bytes(b"print(2)\n")
    git(folder, "commit", "-qam", "second")
    (tmp_path / "gits" / "o").mkdir(parents=True)
    (tmp_path / "bundles" / "o").mkdir(parents=True)
    git(folder, "bundle", "create", str(tmp_path / "bundles" / "o" / "r.bundle"), "main")
    folder.rename(tmp_path / "gits" / "o" / "r")
    for shelf in ("gits", "bundles"):
        wanted = rows({"a.py": b"print(1)\n"}, commit=first[:7])
        assert outcomes(tmp_path / shelf, wanted)["a.py"].outcome == "same"
        wanted = rows({"a.py": b"print(1)\n"}, commit="abcdef0")
        assert outcomes(tmp_path / shelf, wanted)["a.py"].outcome == "missing_repository"


def test_what_one_source_lacks_another_is_asked_for(tmp_path):
    other = dumped(tmp_path / "dump", {"a.py": b"print(1)\n"})
    repository(tmp_path / "gits" / "o" / "r", {"a.py": b"print(2)\n"})
    sources = [source_at(str(place), LIMITS, crawl()) for place in (tmp_path / "gits", other)]
    (found,) = Rebuilder(sources, LIMITS).rebuild(rows({"a.py": b"print(1)\n"}))
    assert found.outcome == "same"


def test_every_row_has_a_result_even_if_it_comes_twice(tmp_path):
    place = dumped(tmp_path / "dump", {"a.py": b"1\n", "b.py": b"2\n"})
    wanted = rows({"a.py": b"1\n"}) * 3 + rows({"a.py": b"2\n"}) + rows({"b.py": b"2\n"})
    rebuilder = Rebuilder([source_at(str(place), LIMITS, crawl())], LIMITS)
    assert len(list(rebuilder.rebuild(wanted))) == 5
    assert rebuilder.counts == {"same": 4, "renamed": 1}


def test_a_second_entry_of_a_path_stands_where_the_first_cannot_be_read(tmp_path):
    (tmp_path / "o").mkdir()
    members = [("r/a.py", None, {"type": b"2", "linkname": "b"}), ("r/a.py", b"1\n", {}), ("r/b", b"2\n", {})]
    (tmp_path / "o" / "r.tar").write_bytes(tar(members, mode="w", pax_headers={"comment": COMMIT}))
    assert outcomes(tmp_path, rows({"a.py": b"1\n"}))["a.py"].outcome == "same"


def test_what_the_corpus_has_redacted_is_not_said_to_be_its_text(tmp_path):
    place = dumped(tmp_path / "dump", {"a.py": b"key = 'secret'\n", "b.py": b"2\n"})
    wanted = rows({"a.py": b"key = 'secret'\n", "b.py": b"2\n"})
    wanted[0] |= {
        "file_hash": wanted[0]["content_hash"],
        "content_hash": content_hash("key = '<KEY>'\n"),
        "redactions": 1,
    }
    wanted[1] |= {"file_hash": wanted[1]["content_hash"], "redactions": 0}
    (tmp_path / "m").mkdir()
    pq.write_table(pa.Table.from_pylist(wanted), tmp_path / "m" / "curated.parquet")
    found = outcomes(place, metadata_rows(tmp_path / "m"))
    assert {path: r.outcome for path, r in found.items()} == {"a.py": "original", "b.py": "same"}
    # Told by the redacted hash alone, it is another text.
    assert outcomes(place, [{**wanted[0], "file_hash": None}])["a.py"].outcome == "changed"


def test_archives_inside_a_checkout_are_files_of_it(tmp_path):
    commit = repository(tmp_path / "o" / "r", {"a.py": b"1\n", "tests/data.zip": zipped([("x", b"1")])})
    assert outcomes(tmp_path, rows({"a.py": b"1\n"}, commit=commit))["a.py"].outcome == "same"
    assert outcomes(tmp_path / "o" / "r", rows({"a.py": b"1\n"}, "rebuild/r", commit))["a.py"].outcome == "same"
    archive = zipped([("q/b.py", b"2\n")], COMMIT.encode())
    (tmp_path / "o" / "q.zip").write_bytes(archive)
    wanted = rows({"a.py": b"1\n"}, commit=commit) + rows({"b.py": b"2\n"}, "o/q")
    assert {r.outcome for r in outcomes(tmp_path, wanted).values()} == {"same"}, "both stand in one folder"


def test_texts_are_not_held_once_they_are_given(tmp_path):
    """Only what is met under another name waits for the end."""
    import tracemalloc

    held = {f"{n}.py": b"# %d\n" % n + b"x = 1\n" * 15_000 for n in range(100)}
    place = dumped(tmp_path / "dump", held)
    rebuilder = Rebuilder([source_at(str(place), limits(max_repository_mb=50), crawl())], limits(max_repository_mb=50))
    wanted = rows(held)
    tracemalloc.start()
    results = rebuilder.rebuild(wanted)
    next(results)
    before = tracemalloc.get_traced_memory()[0]
    for _ in results:
        assert tracemalloc.get_traced_memory()[0] - before < 5 << 20
    tracemalloc.stop()
    assert rebuilder.counts == {"same": 100}
