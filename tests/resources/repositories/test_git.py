"""Git repositories and bundles are read as objects: none of their programs, links or remotes is used."""

from __future__ import annotations

import dataclasses
import os
import shutil
import time
from pathlib import Path

import pytest

from resources.repositories import RepositoryError
from resources.repositories.budget import Budget
from resources.repositories.git import GitRepositories
from resources.repositories.git_objects import Git
from tests.resources.repositories.places import LIMITS, git, limits, repository

CONTENTS = {"src/a.py": b"print(1)\n", "naïve name.txt": "é\n".encode(), "README.md": b"# A\n"}


def read(place: Path, of=LIMITS):
    """{repository: {path: entry}} of all repositories in a place."""
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


def test_links_and_submodules_are_reported_and_not_followed(tmp_path):
    repository(tmp_path / "inner", {"secret.py": b"1"})
    folder = tmp_path / "r"
    repository(folder, {"a.py": b"1", "big.bin": b"x" * 200_000})
    (folder / "link.py").symlink_to("/etc/passwd")
    git(folder, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(tmp_path / "inner"), "sub")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "second")
    found = read(folder)["git/r"]
    assert {path: entry.fate for path, entry in found.items()} == {
        ".gitmodules": None,
        "a.py": None,
        "big.bin": "too_large",
        "link.py": "symlink",
        "sub": "submodule",
    }


def test_hooks_and_configuration_of_the_repository_are_not_used(tmp_path):
    """Each of these settings would make git run a program that creates a file."""
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
    # git would fetch a missing promised object if it used the configuration.
    (folder / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    assert {path: entry.fate for path, entry in read(folder)["git/r"].items()} == {
        "a.py": "unreadable",
        ".gitattributes": None,
    }
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


@pytest.mark.parametrize(
    "head", ["ref: ../../../etc/passwd", "ref: refs/heads/../../config", "nonsense", "ref: refs/heads/none"]
)
def test_a_head_that_names_no_commit_is_a_repository_error(tmp_path, head):
    repository(tmp_path / "r", {"a.py": b"1"})
    (tmp_path / "r" / ".git" / "HEAD").write_text(head)
    source = GitRepositories("git", tmp_path / "r", LIMITS)
    (found,) = source.repositories()
    with pytest.raises(RepositoryError, match="damaged"):
        list(source.entries(found))


def test_a_damaged_object_costs_its_file_and_a_damaged_tree_costs_the_repository(tmp_path):
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


def test_unsafe_paths_are_yielded_unchanged_and_nothing_is_written(tmp_path):
    """git refuses to check out such trees, but a hostile server can make them."""
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
def test_a_damaged_bundle_is_a_repository_error(tmp_path, cut):
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


def test_a_folder_whose_repository_is_elsewhere_is_listed_but_not_read(tmp_path):
    """In a linked worktree, a submodule or a trap, the file `.git` names a folder elsewhere."""
    repository(tmp_path / "private", {"secret.py": b"1"})
    shelf = tmp_path / "shelf"
    repository(shelf / "good", {"a.py": b"1"})
    (shelf / "a").mkdir()
    (shelf / "a" / ".git").write_text(f"gitdir: {tmp_path}/private/.git\n")
    (shelf / "c").mkdir()
    (shelf / "c" / ".git").symlink_to(tmp_path / "private" / ".git")
    (shelf / "b").symlink_to(tmp_path / "private")
    source = GitRepositories("git", shelf, LIMITS)
    found = {r.repo: r for r in source.repositories()}
    assert set(found) == {"git/a", "git/c", "git/good"}
    for name in ("git/a", "git/c"):
        with pytest.raises(RepositoryError, match=r"elsewhere: .*clone"):
            list(source.entries(found[name]))
    assert [e.path for e in source.entries(found["git/good"])] == ["a.py"]


@pytest.mark.parametrize("place", ["objects/pack", "objects/{first}", "objects/info"])
def test_object_folders_that_are_links_are_not_followed(tmp_path, place):
    folder = tmp_path / "r" / ".git"
    repository(tmp_path / "r", {"a.py": b"1"})
    place = folder / place.format(first=git(tmp_path / "r", "rev-parse", "HEAD")[:2])
    place.rename(tmp_path / "moved")
    place.symlink_to(tmp_path / "moved")
    with pytest.raises(RepositoryError, match="alternates"):
        read(tmp_path / "r")


@pytest.mark.parametrize("name", ["pack", "{first}"])
def test_objects_that_are_links_are_not_followed(tmp_path, name):
    repository(tmp_path / "r", {"a.py": b"1"})
    if name == "pack":
        git(tmp_path / "r", "gc", "-q")
    folder = tmp_path / "r" / ".git" / "objects" / name.format(first=git(tmp_path / "r", "rev-parse", "HEAD")[:2])
    for number, file in enumerate(list(folder.iterdir())):
        file.rename(tmp_path / f"moved{number}")
        file.symlink_to(tmp_path / f"moved{number}")
    with pytest.raises(RepositoryError, match="alternates"):
        read(tmp_path / "r")


@pytest.mark.parametrize("name", ["HEAD", "refs/heads/main", "packed-refs"])
def test_a_pipe_in_place_of_a_reference_does_not_block(tmp_path, name):
    repository(tmp_path / "r", {"a.py": b"1"})
    if name == "packed-refs":
        (tmp_path / "r" / ".git" / "refs/heads/main").unlink()
    file = tmp_path / "r" / ".git" / name
    file.unlink(missing_ok=True)
    os.mkfifo(file)
    source = GitRepositories("git", tmp_path / "r", LIMITS)
    for found in source.repositories():
        with pytest.raises(RepositoryError):
            list(source.entries(found))


@pytest.mark.parametrize("branch", ["feature/#12", "größe", "a+b@c", "v1.x"])
def test_a_branch_of_any_name_is_read(tmp_path, branch):
    repository(tmp_path / "r", {"a.py": b"1"})
    git(tmp_path / "r", "checkout", "-q", "-b", branch)
    assert set(read(tmp_path / "r")["git/r"]) == {"a.py"}
    git(tmp_path / "r", "pack-refs", "--all")
    assert set(read(tmp_path / "r")["git/r"]) == {"a.py"}


def test_a_repository_without_commits_is_empty_and_no_error(tmp_path):
    (tmp_path / "r").mkdir()
    git(tmp_path / "r", "init", "-q", "-b", "main")
    assert read(tmp_path / "r") == {"git/r": {}}
    git(tmp_path, "clone", "-q", "--bare", "r", "s/r.git")
    assert read(tmp_path / "s") == {"git/r": {}}


def test_the_error_for_references_in_tables_says_what_to_do(tmp_path):
    """Tables are the default of git 3."""
    repository(tmp_path / "r", {"a.py": b"1"})
    folder = tmp_path / "r" / ".git"
    (folder / "HEAD").write_text("ref: refs/heads/.invalid\n")
    (folder / "reftable").mkdir()
    with pytest.raises(RepositoryError, match="git refs migrate --ref-format=files"):
        read(tmp_path / "r")


def loose(folder: Path, name: str) -> Path:
    found = git(folder, "rev-parse", name)
    return folder / ".git" / "objects" / found[:2] / found[2:]


@pytest.mark.parametrize("options", [(), ("--object-format=sha256",)], ids=["sha1", "sha256"])
def test_an_object_with_a_wrong_id_costs_only_its_file(tmp_path, options):
    """git does not check the id of an object when it reads it."""
    folder = tmp_path / "r"
    repository(folder, {"a.py": b"print(1)\n", "b.py": b"print(2)\n", "c.py": b"print(3)\n"}, *options)
    other = loose(folder, "HEAD:a.py")
    other.chmod(0o644)
    other.write_bytes(loose(folder, "HEAD:b.py").read_bytes())
    found = read(folder)["git/r"]
    assert {path: entry.fate for path, entry in found.items()} == {"a.py": "unreadable", "b.py": None, "c.py": None}


def test_a_file_whose_object_is_a_tree_costs_only_itself(tmp_path):
    folder = tmp_path / "r"
    repository(folder, {"a.py": b"1", "d/b.py": b"2"})
    blob, tree = git(folder, "rev-parse", "HEAD:a.py"), git(folder, "rev-parse", "HEAD:d")
    raw = b"".join(b"100644 %s\0" % name + bytes.fromhex(of) for name, of in ((b"a.py", tree), (b"b.py", blob)))
    made = git(folder, "hash-object", "-t", "tree", "-w", "--literally", "--stdin", input=raw)
    commit = git(folder, "commit-tree", made, "-m", "hostile")
    git(folder, "update-ref", "refs/heads/main", commit)
    found = read(folder)["git/r"]
    assert {path: entry.fate for path, entry in found.items()} == {"a.py": "unreadable", "b.py": None}


def test_replaced_and_grafted_history_is_ignored(tmp_path):
    """Replaced commits, grafts, a shallow history and a wrong commit graph do not change what is read."""
    folder = tmp_path / "r"
    commit = repository(folder, {"a.py": b"1"})
    (folder / "a.py").write_bytes(b"evil")
    git(folder, "commit", "-q", "-a", "-m", "second")
    evil = git(folder, "rev-parse", "HEAD")
    git(folder, "commit-graph", "write", "--reachable")
    graph = folder / ".git" / "objects" / "info" / "commit-graph"
    trees = [bytes.fromhex(git(folder, "rev-parse", f"{of}^{{tree}}")) for of in (commit, evil)]
    data = graph.read_bytes()
    graph.chmod(0o644)
    graph.write_bytes(data.replace(trees[0], b"?" * 20).replace(trees[1], trees[0]).replace(b"?" * 20, trees[1]))
    git(folder, "reset", "-q", "--hard", commit)
    git(folder, "replace", "-f", commit, evil)
    (folder / ".git" / "info" / "grafts").write_text(f"{commit} {evil}\n")
    (folder / ".git" / "shallow").write_text(f"{commit}\n")
    assert read(folder)["git/r"]["a.py"].data == b"1"


def test_shallow_and_partial_clones_give_the_objects_they_have(tmp_path):
    folder = tmp_path / "r"
    repository(folder, {"a.py": b"1"})
    (folder / "b.py").write_bytes(b"2")
    git(folder, "add", "b.py")
    git(folder, "commit", "-q", "-m", "second")
    git(folder, "config", "uploadpack.allowFilter", "true")
    url = f"file://{folder}"
    git(tmp_path, "clone", "-q", "--depth=1", url, "shelf/shallow")
    git(tmp_path, "clone", "-q", "--bare", "--filter=blob:none", url, "shelf/partial.git")
    found = read(tmp_path / "shelf")
    assert {path: entry.data for path, entry in found["git/shallow"].items()} == {"a.py": b"1", "b.py": b"2"}
    assert {path: entry.fate for path, entry in found["git/partial"].items()} == {
        "a.py": "unreadable",
        "b.py": "unreadable",
    }


def test_the_error_of_an_incomplete_bundle_names_its_prerequisite(tmp_path):
    folder = tmp_path / "r"
    first = repository(folder, {"a.py": b"1"})
    (folder / "a.py").write_bytes(b"2")
    git(folder, "commit", "-q", "-a", "-m", "second")
    git(folder, "bundle", "create", str(tmp_path / "x.bundle"), f"{first}..main")
    with pytest.raises(RepositoryError, match="prerequisite"):
        read(tmp_path / "x.bundle")


def test_an_enormous_tree_ends_at_the_file_limit(tmp_path):
    """Twelve levels of ten folders each: 10**12 files out of a few small objects."""
    folder = tmp_path / "r"
    repository(folder, {"a.py": b"1"})
    below = git(folder, "rev-parse", "HEAD:a.py")
    mode = b"100644 blob"
    for _ in range(12):
        lines = b"".join(b"%s %s\t%d\0" % (mode, below.encode(), n) for n in range(10))
        below, mode = git(folder, "mktree", "-z", input=lines), b"040000 tree"
    commit = git(folder, "commit-tree", below, "-m", "hostile")
    git(folder, "update-ref", "refs/heads/main", commit)
    with pytest.raises(RepositoryError, match="too_many_files"):
        read(folder)


def test_processes_that_git_started_end_with_it(tmp_path):
    """git unpacks a bundle in a process of its own."""
    git_ = Git(tmp_path, limits(timeout_s=0.5), Budget(limits(timeout_s=0.5)))
    git_.output(["init", "-q", "--bare", "."])
    shell = f"sleep 60 >/dev/null 2>&1 & echo $! > {tmp_path}/child; wait"
    with pytest.raises(RepositoryError):
        git_.output(["-c", f"alias.wait=!{shell}", "wait"])
    child = int((tmp_path / "child").read_text())
    for _ in range(100):
        if not Path(f"/proc/{child}").exists() or " Z " in Path(f"/proc/{child}/stat").read_text():
            return
        time.sleep(0.05)
    os.kill(child, 9)
    raise AssertionError("the child process is still alive")


def test_folder_names_that_are_not_utf_8_are_read(tmp_path):
    repository(tmp_path / "shelf" / "good", {"a.py": b"1"})
    shutil.copytree(tmp_path / "shelf" / "good", os.fsdecode(bytes(tmp_path / "shelf") + b"/bad\xff"))
    source = GitRepositories("git", tmp_path / "shelf", LIMITS)
    for found in source.repositories():
        found.location.encode()
        assert [e.path for e in source.entries(found)] == ["a.py"]
    assert {r.repo for r in source.repositories()} == {"git/bad-xff", "git/good"}


def test_an_object_at_which_git_ends_costs_only_its_file(tmp_path):
    folder = tmp_path / "r"
    repository(folder, {f"{n}.py": b"print(%d)\n" % n * 400 for n in range(6)})
    for n in (0, 2, 5):
        file = loose(folder, f"HEAD:{n}.py")
        file.chmod(0o644)
        file.write_bytes(file.read_bytes()[:-6])  # its header can still be read
    found = read(folder)["git/r"]
    assert [entry.fate for entry in found.values()] == ["unreadable", None, "unreadable", None, None, "unreadable"]
    assert found["4.py"].data == b"print(4)\n" * 400


def test_any_commit_of_a_repository_can_be_named_by_its_first_digits(tmp_path):
    for options in ((), ("--object-format=sha256",)):
        folder = tmp_path / f"r{len(options)}"
        first = repository(folder, {"a.py": b"1"}, *options)
        (folder / "a.py").write_bytes(b"2")
        git(folder, "commit", "-q", "-a", "-m", "second")
        git(folder, "bundle", "create", str(tmp_path / "x.bundle"), "main")
        for place in (folder, tmp_path / "x.bundle"):
            source = GitRepositories("git", place, LIMITS)
            (found,) = source.repositories()
            for name in (first, first[:7], first[:12].upper()):
                (entry,) = source.entries(dataclasses.replace(found, commit_id=name))
                assert entry.data == b"1"
            for name in ("f" * 40, "f" * 7, git(folder, "rev-parse", "HEAD:a.py")):
                with pytest.raises(RepositoryError, match="missing"):
                    list(source.entries(dataclasses.replace(found, commit_id=name)))
