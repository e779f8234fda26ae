"""Archives are read member by member, within limits, and nothing in them can reach the disk."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import tarfile
import time
import zipfile

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemotron_assets.code.sources.files import SkippedRepositories, offered_repositories
from nemotron_assets.code.sources.text import unsafe
from resources.repositories import (
    ArchiveFiles,
    Repository,
    RepositoryError,
    archive_entries,
    commit_of,
    repo_name,
)
from tests.resources.repositories.places import LIMITS, files, limits, tar, zipped

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def entries(data: bytes, of=LIMITS):
    return list(archive_entries(io.BytesIO(data), of))


def fates(data: bytes, of=LIMITS) -> dict[str, str | None]:
    return {entry.path: entry.fate for entry in entries(data, of)}


def link(target: str, kind: bytes = tarfile.SYMTYPE) -> dict:
    return {"type": kind, "linkname": target}


PLAIN = tar(files(**{"a/x.py": b"print(1)\n", "a/b/y.c": b"int y;\n"}), mode="w")


@pytest.mark.parametrize(
    "pack",
    [bytes, gzip.compress, bz2.compress, lzma.compress, lambda data: pa.compress(data, "zstd", asbytes=True)],
    ids=["tar", "gz", "bz2", "xz", "zst"],
)
def test_every_packing_gives_the_same_files_without_their_common_folder(pack):
    found = {entry.path: entry.data for entry in entries(pack(PLAIN))}
    assert found == {"x.py": b"print(1)\n", "b/y.c": b"int y;\n"}


def test_a_zip_gives_the_same_files_and_only_a_common_folder_is_removed():
    assert {e.path: e.data for e in entries(zipped([("a/x.py", b"1"), ("a/b/y.c", b"2")]))} == {
        "x.py": b"1",
        "b/y.c": b"2",
    }
    assert set(fates(zipped([("a/x.py", b"1"), ("c/y.c", b"2")]))) == {"a/x.py", "c/y.c"}
    assert set(fates(tar(files(**{"README": b"1", "a/y.c": b"2"})))) == {"README", "a/y.c"}


def test_links_and_devices_of_a_tar_are_never_read():
    data = tar(
        [
            ("r/ok.py", b"1", {}),
            ("r/link.py", None, link("/etc/passwd")),
            ("r/hard.py", None, link("r/ok.py", tarfile.LNKTYPE)),
            ("r/device", None, {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3}),
            ("r/block", None, {"type": tarfile.BLKTYPE}),
            ("r/pipe", None, {"type": tarfile.FIFOTYPE}),
            ("r/folder", None, {"type": tarfile.DIRTYPE}),
        ]
    )
    assert fates(data) == {
        "ok.py": None,
        "link.py": "symlink",
        "hard.py": "special",
        "device": "special",
        "block": "special",
        "pipe": "special",
    }


def test_a_name_in_a_zip_that_is_not_utf_8_does_not_cost_other_files():
    data = zipped([("r/a.py", b"1"), ("r/\u00e9\u00e9.py", b"2"), ("r/z.py", b"3")])
    broken = data.replace("\u00e9\u00e9".encode(), b"\xff\xfe\xff\xfe")
    found = fates(broken)
    assert found["a.py"] is None and found["z.py"] is None
    assert [fate for path, fate in found.items() if path not in ("a.py", "z.py")] == ["unreadable"]


def test_links_and_devices_of_a_zip_are_never_read():
    def info(name: str, mode: int) -> zipfile.ZipInfo:
        made = zipfile.ZipInfo(name)
        made.create_system, made.external_attr = 3, mode << 16
        return made

    data = zipped(
        [(info("r/l", 0o120777), b"/etc/passwd"), (info("r/d", 0o020666), b""), (info("r/f", 0o100644), b"1")]
    )
    assert fates(data) == {"l": "symlink", "d": "special", "f": None}


@pytest.mark.parametrize(
    "name",
    ["../../evil.py", "/etc/evil.py", "a/../../evil.py", "C:\\evil.py", "a\\..\\..\\evil.py", "a/.git/hooks/x", "a//b",
     "a/./b", "bad\nname.py", "\udcff.py", "x/" * 600 + "y", "n" * 300],
)  # fmt: skip
def test_unsafe_paths_of_a_tar_are_recognised(name, tmp_path, monkeypatch):
    """The archive yields such paths unchanged, `unsafe` names the reason, and nothing is written to the disk."""
    monkeypatch.chdir(tmp_path)
    for data in (tar([(name, b"1", {}), ("ok.py", b"1", {})], encoding="utf-8", errors="surrogateescape"),):
        found = fates(data)
        assert "ok.py" in found
        assert all(unsafe(path) for path in found if path != "ok.py")
        assert len(found) == 2
    assert list(tmp_path.iterdir()) == []


def test_unsafe_paths_of_a_zip_are_recognised(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = ["../../evil.py", "/etc/evil.py", "a/../../evil.py", "a\\..\\evil.py", "ok.py"]
    found = fates(zipped([(name, b"1") for name in names]))
    assert [path for path in found if not unsafe(path)] == ["ok.py"]
    assert len(found) == 5
    assert list(tmp_path.iterdir()) == []


def test_a_member_over_the_limit_is_skipped_and_the_rest_is_read():
    data = tar([("r/big", b"1" * 200_000, {}), ("r/small", b"2", {})], mode="w")
    assert fates(data) == {"big": "too_large", "small": None}
    assert fates(zipped([("r/big", bytes(range(256)) * 800), ("r/small", b"2")])) == {"big": "too_large", "small": None}


def test_a_repository_over_its_limit_loses_its_last_files():
    data = tar([(f"r/{n}", bytes([65 + n]) * 90_000, {}) for n in range(30)], mode="w")
    found = list(fates(data).values())
    assert found.count("over_limit") == 7  # 2 MB are 23 of 90,000 bytes
    assert found[:23] == [None] * 23


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress], ids=["gz", "bz2", "xz"])
def test_a_bomb_ends_at_the_ratio_limit(pack):
    member = tar([("r/zeros", bytes(60_000_000), {})], mode="w")
    bomb = pack(member)
    assert len(bomb) * 50 < len(member)
    with pytest.raises(RepositoryError, match="bomb"):
        entries(bomb)


def test_a_zip_bomb_ends_at_the_ratio_limit():
    of = limits(max_file_mb=20, max_repository_mb=100)
    with pytest.raises(RepositoryError, match="bomb"):
        entries(zipped([(f"r/{n}", bytes(10_000_000)) for n in range(20)]), of)


def test_a_zip_whose_members_share_their_bytes_is_a_bomb_too():
    """Many directory entries that point at one member: the file is small, but its members are large."""
    data = zipped([("r/aa", bytes(90_000))])
    start = data.index(b"PK\1\2")
    end = data.index(b"PK\5\6")
    record = data[start:end]
    records = b"".join(record.replace(b"r/aa", b"r/%c%c" % (65 + n // 26, 65 + n % 26)) for n in range(500))
    tail = bytearray(data[end:])
    tail[8:12] = (500).to_bytes(2, "little") * 2
    tail[12:16] = len(records).to_bytes(4, "little")
    bomb = data[:start] + records + bytes(tail)
    assert len(zipfile.ZipFile(io.BytesIO(bomb)).infolist()) == 500
    found, error = [], None
    try:
        for entry in archive_entries(io.BytesIO(bomb), LIMITS):
            found.append(entry)
    except RepositoryError as raised:
        error = raised
    assert error is not None or sum(e.fate == "over_limit" for e in found) > 400


def test_too_many_members_end_a_repository():
    with pytest.raises(RepositoryError, match="too_many_files"):
        entries(tar([(f"r/{n}", b"1", {}) for n in range(501)], mode="w"))
    with pytest.raises(RepositoryError, match="too_many_files"):
        entries(zipped([(f"r/{n}", b"1") for n in range(501)]))


def test_a_huge_header_is_refused_quickly():
    """The time of Python 3.11's pax parser grows with the square of the length of a run of digits."""
    header = tarfile.TarInfo("pax")
    header.type, header.size = tarfile.XHDTYPE, 1_000_000
    data = header.tobuf() + b"1" * 1_000_448 + PLAIN
    started = time.process_time()
    with pytest.raises(RepositoryError, match="damaged"):
        entries(data)
    assert time.process_time() - started < 20


def test_endless_headers_are_damage():
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 10
    block = header.tobuf(tarfile.GNU_FORMAT) + b"longname\0".ljust(512, b"\0")
    with pytest.raises(RepositoryError, match="damaged"):
        entries(block * 5_000)


def test_entries_before_the_damage_are_kept():
    data = tar([(f"r/{n}", b"x" * 9_000, {}) for n in range(20)], mode="w")[: 9_728 * 10 + 600]
    found = []
    with pytest.raises(RepositoryError, match="damaged"):
        for entry in archive_entries(io.BytesIO(data), LIMITS):
            found.append(entry)
    assert [e.path for e in found] == [str(n) for n in range(10)]


@pytest.mark.parametrize(
    "pack",
    [gzip.compress, bz2.compress, lzma.compress, lambda data: pa.compress(data, "zstd", asbytes=True)],
    ids=["gz", "bz2", "xz", "zst"],
)
def test_a_packed_archive_that_is_cut_off_keeps_what_was_read(pack):
    rng = random.Random(1)
    packed = pack(tar([(f"r/{n}", rng.randbytes(90_000), {}) for n in range(20)], mode="w"))
    found = []
    with pytest.raises(RepositoryError, match="damaged"):
        for entry in archive_entries(io.BytesIO(packed[: len(packed) * 9 // 10]), LIMITS):
            found.append(entry)
    # bzip2 gives nothing of a block of 900 kB before its end.
    assert len(found) >= (8 if packed.startswith(b"BZh") else 16) and all(len(e.data) == 90_000 for e in found)


def test_a_small_archive_that_is_cut_off_keeps_its_first_files():
    rng = random.Random(1)
    packed = tar([(f"r/{n}", rng.randbytes(900), {}) for n in range(5)])
    found = []
    with pytest.raises(RepositoryError, match="damaged"):
        for entry in archive_entries(io.BytesIO(packed[:-700]), LIMITS):
            found.append(entry)
    assert [e.path for e in found][:3] == ["0", "1", "2"]


def test_of_two_members_of_one_name_the_last_one_wins():
    members = [("r/a.py", b"old", {}), ("r/b.py", b"b", {}), ("./r/a.py", b"new", {})]
    for data in (tar([(f"./{name}", *rest) if name[0] == "r" else (name, *rest) for name, *rest in members]),
                 tar([(name.removeprefix("./"), *rest) for name, *rest in members])):  # fmt: skip
        found = [(e.path.removeprefix("r/"), e.data, e.fate) for e in entries(data)]
        assert found == [("a.py", None, "duplicate_path"), ("b.py", b"b", None), ("a.py", b"new", None)]
    with pytest.warns(UserWarning, match="Duplicate name"):
        data = zipped([("r/a", b"old"), ("r/a", b"new")])
    assert [(e.data, e.fate) for e in entries(data)] == [(None, "duplicate_path"), (b"new", None)]


def test_a_damaged_or_encrypted_member_of_a_zip_does_not_stop_the_others():
    data = bytearray(zipped([("r/a", b"first" * 50), ("r/b", b"second" * 50), ("r/c", b"third" * 50)]))
    at = data.index(b"r/a") + 3
    data[at + 2] ^= 0xFF
    record = data.index(b"PK\1\2", data.index(b"PK\1\2") + 1)
    data[record + 8] |= 1  # the flag of an encrypted member
    assert fates(bytes(data)) == {"a": "unreadable", "b": "unreadable", "c": None}


def test_a_member_of_a_zip_with_a_wrong_size_is_unreadable():
    data = bytearray(zipped([("r/a", b"first" * 50), ("r/b", b"2")]))
    record = data.index(b"PK\1\2")
    data[record + 24 : record + 28] = (10).to_bytes(4, "little")
    assert fates(bytes(data))["a"] == "unreadable"


def test_the_commit_that_git_archive_writes_is_read():
    noted = tar(files(**{"r/x": b"1"}), format=tarfile.PAX_FORMAT, pax_headers={"comment": COMMIT})
    assert commit_of(io.BytesIO(noted)) == COMMIT
    assert commit_of(io.BytesIO(zipped([("r/x", b"1")], COMMIT.encode()))) == COMMIT
    assert commit_of(io.BytesIO(PLAIN)) is None
    assert commit_of(io.BytesIO(b"\x1f\x8bnonsense")) is None


def test_a_folder_of_archives_names_its_repositories(tmp_path):
    (tmp_path / "owner").mkdir()
    (tmp_path / "owner" / "name.tar.gz").write_bytes(tar(files(**{"r/x.py": b"1"})))
    (tmp_path / "alone.zip").write_bytes(zipped([("y.py", b"2")]))
    (tmp_path / "six-1.0-py3-none-any.whl").write_bytes(zipped([("six.py", b"3")]))
    (tmp_path / "serde-1.0.0.crate").write_bytes(tar(files(**{"serde-1.0.0/a.rs": b"4"})))
    (tmp_path / "tool.jar").write_bytes(zipped([("A.java", b"5")]))
    (tmp_path / "tool.nupkg").write_bytes(zipped([("A.cs", b"6")]))
    (tmp_path / "out.tar").symlink_to("/etc/passwd")
    (tmp_path / "notes.txt").write_text("no archive")
    archives = ArchiveFiles("shelf", tmp_path, LIMITS)
    found = {r.repo: r for r in archives.repositories()}
    (tmp_path / "owner" / "tool.gem").write_bytes(b"data")
    skipped = SkippedRepositories()
    assert list(offered_repositories({"shelf": archives}, skipped)) == list(archives.repositories())
    assert "archive of a kind that is not read): owner/tool.gem" in str(skipped)
    packages = {"shelf/six-1.0-py3-none-any", "shelf/serde-1.0.0"}
    assert packages < set(found) and {"owner/name", "shelf/alone"} < set(found)
    assert [e.path for e in archives.entries(found["shelf/serde-1.0.0"])] == ["a.rs"]
    of_tool = sorted(e.path for r in archives.repositories() if "tool" in r.repo for e in archives.entries(r))
    assert of_tool == ["A.cs", "A.java"]
    assert len(found["owner/name"].commit_id) == 40
    assert [e.path for e in archives.entries(found["owner/name"])] == ["x.py"]
    before = found["owner/name"].fingerprint
    (tmp_path / "owner" / "name.tar.gz").write_bytes(tar(files(**{"r/x.py": b"2"})))
    assert {r.repo: r.fingerprint for r in archives.repositories()}["owner/name"] != before


def test_names_of_archives_become_names_of_repositories():
    assert repo_name("s", "a/b.tar.gz", [".tar.gz", ".gz"]) == "a/b"
    assert repo_name("s", "we ird;name.zip", [".zip"]) == "s/we-ird-name"


def test_a_missing_or_too_large_archive_is_a_repository_error(tmp_path):
    archives = ArchiveFiles("shelf", tmp_path, limits(max_archive_mb=1))
    gone = Repository("shelf", "archive", "a/b", COMMIT, "b.tar", "")
    with pytest.raises(RepositoryError, match="missing"):
        list(archives.entries(gone))
    with (tmp_path / "b.tar").open("wb") as stream:
        stream.truncate(2 << 20)
    with pytest.raises(RepositoryError, match="too_large"):
        list(archives.entries(gone))


ZIP = zipped([("r/x.py", b"print(1)\n" * 20), ("r/b/y.c", b"int y;\n")])
SEEDS = (PLAIN, gzip.compress(PLAIN, mtime=0), bz2.compress(PLAIN), lzma.compress(PLAIN), ZIP)


@settings(max_examples=150, deadline=None)
@given(
    st.binary(max_size=3_000),
    st.sampled_from([b"", b"PK\3\4", b"PK\5\6", b"\x1f\x8b\x08", b"BZh9", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd"]),
)
def test_any_bytes_are_an_archive_or_an_error(data, magic):
    readable(magic + data)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.integers(0, 20_000), st.integers(0, 255)), max_size=8),
    st.integers(0, 20_000),
)
def test_a_damaged_archive_is_an_archive_or_an_error(data, changes, cut):
    broken = bytearray(data)
    for at, value in changes:
        broken[at % len(broken)] = value
    readable(bytes(broken[: cut % len(broken)] if cut % 3 else broken))


def readable(data: bytes) -> None:
    try:
        for entry in archive_entries(io.BytesIO(data), LIMITS):
            assert (entry.data is None) == (entry.fate is not None)
            assert entry.data is None or len(entry.data) <= LIMITS.max_file_mb * 2**20
    except RepositoryError:
        pass
    commit_of(io.BytesIO(data))
