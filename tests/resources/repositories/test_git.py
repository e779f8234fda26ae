"""Git repositories and bundles are read as objects: nothing of theirs is run, followed or fetched."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from resources.repositories import RepositoryError
from resources.repositories.git import GitRepositories
from tests.resources.repositories.places import LIMITS, git, limits, repository

CONTENTS = {"src/a.py": b"print(1)\n", "naïve name.txt": "é\n".encode(), "README.md": b"# A\n"}


def read(place: Path, of=LIMITS):
    """{repository: {path: entry}} of everything there."""
    source = GitRepositories("git", place, of)
    return {r.repo: {e.path: e for e in source.entries(r)} for r in source.repositories()}


@pytest.mark.parametrize("options", [(), ("--object-format=sha256",)], ids=["sha1", "sha256"])
def test_a_checkout_a_bare_repository_and_a_bundle_give_the_same_files(tmp_path, options):
    commit = repository(tmp_path / "work", CONTENTS, *options)
    shelf = tmp_path / "shelf"
    shutil.copytree(tmp_path / "work", shelf / "o" / "checkout")
    git(tmp_path, "clone", "-q", "--bare", "work", str(shelf / "o" / "bare.git"))
    git(tmp_path / "work", "bundle", "create", str(shelf / "o" / "packed.bundle"), "HEAD", "main")
    source = GitRepositories("git", shelf, LIMITS)
    found = {r.repo: r for r in source.repositories()}
    assert {r.kind for r in found.values()} == {"git", "bundle"}
    assert {r.commit_id for r in found.values()} == {commit}
    assert found["o/bare"].updated_at.isoformat() == "2024-05-06T07:08:09+00:00"
    for name in ("o/checkout", "o/bare", "o/packed"):
        assert {e.path: e.data for e in source.entries(found[name])} == CONTENTS


def test_links_and_submodules_are_told_and_not_followed(tmp_path):
    repository(tmp_path / "inner", {"secret.py": b"1"})
    folder = tmp_path / "r"
    repository(folder, {"a.py": b"1", "big.bin": b"x" * 200_000})
    (folder / "link.py").symlink_to("/etc/passwd")
    git(folder, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(tmp_path / "inner"), "sub")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "second")
    found = read(folder)["git/r"]
    assert {path: entry.fate for path, entry in found.items()} == {
        ".gitmodules": None, "a.py": None, "big.bin": "too_large", "link.py": "symlink", "sub": "submodule",
    }  # fmt: skip


def test_neither_hooks_nor_configuration_of_the_repository_are_used(tmp_path):
    """Each of these would make git run a program that leaves a file behind."""
    folder, trap = tmp_path / "r", tmp_path / "sprung"
    repository(folder, {"a.py": b"1", ".gitattributes": b"* filter=evil diff=evil\n"})
    program = tmp_path / "trap.sh"
    program.write_text(f"#!/bin/sh\ntouch {trap}\ncat\n")
    program.chmod(0o755)
    config = (
        f"\n[core]\n fsmonitor = {program}\n pager = {program}\n sshCommand = {program}\n"
        f" hooksPath = {tmp_path}/hooks\n"
        f" gitProxy = {program}\n alternateRefsCommand = {program}\n"
        f'[filter "evil"]\n smudge = {program}\n clean = {program}\n process = {program}\n'
        f'[diff "evil"]\n textconv = {program}\n'
        f'[remote "origin"]\n url = ext::{program}\n promisor = true\n partialclonefilter = blob:none\n'
        f"[uploadpack]\n packObjectsHook = {program}\n[include]\n path = {tmp_path}/missing\n"
        "[extensions]\n partialClone = origin\n"
    )
    with (folder / ".git" / "config").open("a") as stream:
        stream.write(config)
    for name in ("post-checkout", "reference-transaction", "post-index-change"):
        (folder / ".git" / "hooks").mkdir(exist_ok=True)
        shutil.copy(program, folder / ".git" / "hooks" / name)
    blob = git(tmp_path, "hash-object", "--stdin", input=b"1")
    assert set(read(folder)["git/r"]) == {"a.py", ".gitattributes"}
    assert not trap.exists()
    # A promised object that is not there would be fetched by a git that believes the configuration.
    (folder / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    assert {path: entry.fate for path, entry in read(folder)["git/r"].items()} == {
        "a.py": "unreadable", ".gitattributes": None,
    }  # fmt: skip
    assert not trap.exists()


def test_objects_of_other_repositories_are_not_borrowed(tmp_path):
    repository(tmp_path / "private", {"secret.py": b"password"})
    git(tmp_path, "clone", "-q", "--shared", "private", str(tmp_path / "r"))
    with pytest.raises(RepositoryError, match="alternates"):
        read(tmp_path / "r")
    whole = tmp_path / "whole"
    repository(whole, {"a.py": b"1"})
    shutil.move(whole / ".git" / "objects", tmp_path / "objects")
    (whole / ".git" / "objects").symlink_to(tmp_path / "objects")
    with pytest.raises(RepositoryError, match="alternates"):
        read(whole)


def test_a_git_file_or_link_that_points_elsewhere_is_not_followed(tmp_path):
    repository(tmp_path / "private", {"secret.py": b"1"})
    shelf = tmp_path / "shelf"
    (shelf / "a").mkdir(parents=True)
    (shelf / "a" / ".git").write_text(f"gitdir: {tmp_path}/private/.git\n")
    (shelf / "b").symlink_to(tmp_path / "private")
    (shelf / "c").mkdir()
    (shelf / "c" / ".git").symlink_to(tmp_path / "private" / ".git")
    assert read(shelf) == {}


@pytest.mark.parametrize(
    "head", ["ref: ../../../etc/passwd", "ref: refs/heads/../../config", "nonsense", "ref: refs/heads/none"]
)
def test_a_head_that_names_no_commit_is_the_repositorys_error(tmp_path, head):
    repository(tmp_path / "r", {"a.py": b"1"})
    (tmp_path / "r" / ".git" / "HEAD").write_text(head)
    source = GitRepositories("git", tmp_path / "r", LIMITS)
    (found,) = source.repositories()
    with pytest.raises(RepositoryError, match="damaged"):
        list(source.entries(found))


def test_a_damaged_object_costs_its_file_and_a_damaged_tree_the_repository(tmp_path):
    repository(tmp_path / "r", {"a.py": b"print(1)\n", "b.py": b"print(2)\n"})
    for name, check in (("HEAD:a.py", True), ("HEAD^{tree}", False)):
        found = git(tmp_path / "r", "rev-parse", name)
        file = tmp_path / "r" / ".git" / "objects" / found[:2] / found[2:]
        file.chmod(0o644)
        file.write_bytes(b"\0" * 30)
        if check:
            entries = read(tmp_path / "r")["git/r"]
            assert (entries["a.py"].fate, entries["b.py"].data) == ("unreadable", b"print(2)\n")
    with pytest.raises(RepositoryError, match="damaged"):
        read(tmp_path / "r")


def test_paths_that_lead_elsewhere_come_as_they_are_and_touch_nothing(tmp_path):
    """git itself refuses to check such trees out; a hostile server can make them."""
    folder = tmp_path / "r"
    repository(folder, {"a.py": b"1"})
    blob = git(folder, "rev-parse", "HEAD:a.py")
    tree = git(
        folder, "mktree", "-z", input=f"100644 blob {blob}\t..\0".encode() + f"100644 blob {blob}\tok.py\0".encode()
    )
    commit = git(folder, "commit-tree", tree, "-m", "hostile")
    git(folder, "update-ref", "refs/heads/main", commit)
    before = sorted(p.name for p in tmp_path.iterdir())
    found = read(folder)["git/r"]
    assert set(found) == {"..", "ok.py"}
    assert sorted(p.name for p in tmp_path.iterdir()) == before


@pytest.mark.parametrize("cut", [30, 200, -40])
def test_a_damaged_bundle_is_the_repositorys_error(tmp_path, cut):
    repository(tmp_path / "work", CONTENTS)
    git(tmp_path / "work", "bundle", "create", str(tmp_path / "x.bundle"), "HEAD")
    data = (tmp_path / "x.bundle").read_bytes()
    (tmp_path / "x.bundle").write_bytes(data[:cut])
    with pytest.raises(RepositoryError):
        read(tmp_path / "x.bundle")


def test_limits_end_a_repository(tmp_path):
    repository(tmp_path / "r", {f"{n}.py": b"%d" % n for n in range(6)})
    with pytest.raises(RepositoryError, match="too_many_files"):
        read(tmp_path / "r", limits(max_files=5))
    with pytest.raises(RepositoryError, match="timeout"):
        read(tmp_path / "r", limits(timeout_s=1e-9))
