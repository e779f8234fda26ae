"""Licences: precision of what is allowed 1.0, recall 0.95; 30 files/s/core cold, 2,000 by cached content.

--input: repositories, in one of these forms
  DIR/OWNER/NAME/files...    or DIR/NAME/files... where the truth names no owner; OWNER__NAME, OWNER--NAME and
                             OWNER_NAME are found as well, and a folder of the commit's name inside, if there is one
  DIR/files.parquet          columns repo, rel_path, content (bytes or text), commit_id if there are several of one; a
                             repositories.parquet beside it may add licence_files (path, text) that are not among them
  FILE.parquet               the same as one file
--truth: one JSON object per line (or a JSON list): repo, expected (accept, reject or review), commit_id where one repo
  occurs twice; files: {path: accept, reject or review} where a file differs from its repository.
Without them: the sample.

A repository is kept if any of its files is kept. Precision is the share of the kept files (repositories) that the truth
does not reject; files of `review` repositories count only if their own evidence allows them, which the run shows.
Recall is the share of the repositories with `accept` that are kept, and the share of the files with `accept` that are
kept, pooled over all repositories; the mean over repositories is printed beside it. Files that are not text or exceed
the recipe's limit are left out, as when code is read into the lake.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for when it is run as a file

from benchmarks.harness import Claim, table, verdict
from nemotron_assets.code.licences.decide import Decision, decide
from nemotron_assets.code.licences.excerpts import excerpt
from nemotron_assets.code.licences.library import Library, Scan
from nemotron_assets.code.sources.text import decode
from nemotron_assets.code.terms import texts
from nemotron_assets.recipe import current_recipe

EXPECTED = ("accept", "reject", "review")
SAMPLE = Path(__file__).resolve().parent.parent / "nemotron_assets" / "sample"
Repository = tuple[str, str, list[tuple[str, str]]]


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="licenses", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--input", type=Path, default=SAMPLE / "code", metavar="DIR", help="the repositories")
    parser.add_argument(
        "--truth",
        type=Path,
        default=SAMPLE / "truth" / "code_licences.jsonl",
        metavar="FILE",
        help="the expected decisions",
    )
    parser.add_argument("--quick", action="store_true", help="every fourth repository only")
    parser.add_argument(
        "--missed",
        type=int,
        default=0,
        metavar="N",
        help="also show the library N files that the prefilter drops, and count the licences it finds in them",
    )
    options = parser.parse_args(argv)
    try:
        truth = read_truth(options.truth)
        repositories = list(read(options.input, truth))
    except (OSError, ValueError) as error:
        print(f"licenses: {error}", file=sys.stderr)
        return 2
    if options.quick:
        repositories = repositories[::4]
    recipe = current_recipe().code.licences
    files = sum(len(paths) for _, _, paths in repositories)
    known: dict[str, Scan] = {}
    with tempfile.TemporaryDirectory() as folder:
        library = Library(Path(folder), seconds=recipe.deadline_s, memory_mb=recipe.memory_mb, known=known)
        with library:
            before = cpu(library)
            decisions = judged(repositories, library, recipe)
            cold = cpu(library) - before
            asked = library.examined
            started = time.process_time()
            rounds = 0
            while time.process_time() - started < 1.0:
                assert judged(repositories, library, recipe) == decisions
                rounds += 1
            warm = (time.process_time() - started) / rounds
            missed = false_negatives(repositories, library, recipe, options.missed) if options.missed else None
    print(f"{len(repositories)} repositories, {files:,} files; the library was asked about {asked} texts")
    quality = report(decisions, repositories, truth)
    print(f"cold: {cold:.1f} CPU s with the index; known: {warm:.2f} CPU s")
    if missed is not None:
        print(
            f"of {options.missed} files without a licence-like word, the library finds a licence in {len(missed)}: "
            f"{'; '.join(missed[:10])}"
        )
    return verdict(
        [
            Claim("precision of allowed, repositories", quality["repository precision"], at_least=1.0),
            Claim("precision of allowed, files", quality["file precision"], at_least=1.0),
            Claim("recall, repositories", quality["repository recall"], at_least=0.95),
            Claim("recall, files", quality["file recall"], at_least=0.95),
            Claim("cold, index included", files / cold, "files/s/core", at_least=30),
            Claim("by cached content", files / warm, "files/s/core", at_least=2_000),
        ]
    )


def read_truth(file: Path) -> dict[tuple[str, str], dict]:
    """The rows of the truth by (repository, commit); the commit is "" if a row names none.

    Raises ValueError that names the wrong row.
    """
    content = file.read_text()
    try:
        if content.lstrip().startswith("["):
            rows = json.loads(content)
        else:
            rows = [json.loads(line) for line in content.splitlines() if line.strip()]
    except json.JSONDecodeError as error:
        raise ValueError(f"{file} is not one JSON object per line: {error}") from None
    found = {}
    for number, row in enumerate(rows, 1):
        words = [row.get("expected"), *(row.get("files") or {}).values()] if isinstance(row, dict) else [row]
        wrong = [word for word in words if word not in EXPECTED]
        if wrong or not row.get("repo"):
            raise ValueError(f"{file}, row {number}: it needs repo, and expected as one of {EXPECTED}, but has {wrong}")
        found[row["repo"], row.get("commit_id") or ""] = row
    if not found:
        raise ValueError(f"{file} is empty")
    return found


def expectation(truth: dict, repo: str, commit: str) -> dict | None:
    """The row of the truth about a commit of a repository, or the only row about the repository; else None."""
    if (repo, commit) in truth:
        return truth[repo, commit]
    named = [row for (name, _), row in truth.items() if name == repo]
    return named[0] if len(named) == 1 else None


def read(place: Path, truth: dict) -> Iterator[Repository]:
    """The repositories that the truth names, with the texts of their files. Prints which repositories are missing.

    Raises ValueError if all are missing, or if `place` has none of the known forms.
    """
    if place.is_file() or (place / "files.parquet").exists():
        found = {
            (repo, commit): files for repo, commit, files in read_parquet(place) if expectation(truth, repo, commit)
        }
        missing = [key for key in truth if key not in found and not any(key[0] == repo for repo, _ in found)]
        chosen = ((repo, commit, files) for (repo, commit), files in found.items())
    elif place.is_dir():
        folders = {key: repository_folder(place, *key) for key in truth}
        missing = [key for key, folder in folders.items() if folder is None]
        chosen = ((repo, commit, list(read_folder(folder))) for (repo, commit), folder in folders.items() if folder)
    else:
        raise ValueError(f"{place} is neither a folder nor a Parquet file")
    names = ", ".join(repo for repo, _ in missing[:5]) + ("" if len(missing) <= 5 else ", ...")
    if len(missing) == len(truth):
        raise ValueError(
            f"{place} has none of the truth's {len(truth)} repositories ({names}); --help says in which "
            "forms they are found"
        )
    if missing:
        print(
            f"NOT MEASURED, because {place} has them in no form that --help names: {len(missing)} of the truth's "
            f"{len(truth)} repositories ({names})",
            file=sys.stderr,
        )
    yield from chosen


def repository_folder(place: Path, repo: str, commit: str) -> Path | None:
    """The folder of a repository, or None. A name that leads out of `place` gives None."""
    parts = repo.split("/")
    if any(part in ("", ".", "..") for part in parts):
        return None
    for name in (repo, *(sign.join(parts) for sign in ("__", "--", "_", "-")), parts[-1]):
        folder = place / name
        if folder.is_dir():
            inside = folder / commit if commit and "/" not in commit else folder
            return inside if inside.is_dir() else folder
    return None


def read_folder(repo: Path) -> Iterator[tuple[str, str]]:
    """Paths and texts of a repository's files, in the order of their paths."""
    for path in sorted(p for p in repo.rglob("*") if p.is_file() and not p.is_symlink()):
        inside = path.relative_to(repo)
        if ".git" not in inside.parts and (content := text(path.read_bytes())):
            yield inside.as_posix(), content


def read_parquet(place: Path) -> Iterator[Repository]:
    """The repositories in files.parquet, with licence files from repositories.parquet beside it."""
    import polars as pl

    rows = pl.read_parquet(place if place.is_file() else place / "files.parquet")
    missing = {"repo", "rel_path", "content"} - set(rows.columns)
    if missing:
        raise ValueError(f"{place} lacks the columns {sorted(missing)}; it has {rows.columns}")
    if "commit_id" not in rows.columns:
        rows = rows.with_columns(commit_id=pl.lit(""))
    texts_of: dict[tuple[str, str], dict[str, str]] = {}
    beside = place.parent if place.is_file() else place
    if (beside / "repositories.parquet").exists():
        about = pl.read_parquet(beside / "repositories.parquet")
        if {"repo", "commit_id", "licence_files"} <= set(about.columns):
            for repo, commit, files in about.select("repo", "commit_id", "licence_files").iter_rows():
                texts_of[repo, commit] = {file["path"]: file["text"] for file in files or []}
    for (repo, commit), group in rows.group_by("repo", "commit_id", maintain_order=True):
        files = dict(texts_of.get((repo, commit or ""), {}))
        for path, content in group.select("rel_path", "content").iter_rows():
            if read := text(content.encode() if isinstance(content, str) else content):
                files[path] = read
        yield repo, commit or "", sorted(files.items())


def text(content: bytes | None) -> str | None:
    """A file's text as the lake would store it; None if the file is not text or too large."""
    recipe = current_recipe().code.sources
    if not content or len(content) > recipe.max_file_mb * 1e6:
        return None
    return decode(content, recipe.max_control_share).text


def judged(repositories: list[Repository], library: Library, recipe) -> dict[tuple[str, str], list[Decision]]:
    return {
        (repo, commit): decide([excerpt(path, path, content, recipe) for path, content in files], library.scan, recipe)
        for repo, commit, files in repositories
    }


def cpu(library: Library) -> float:
    """CPU seconds of this process and of the library's process."""
    import psutil

    own = time.process_time()
    if library._process is None:
        return own
    times = psutil.Process(library._process.pid).cpu_times()
    return own + times.user + times.system


def report(decisions: dict, repositories: list[Repository], truth: dict) -> dict[str, float]:
    """Print the decisions next to the expected ones; return precision and recall."""
    confusion, kept, accepted, wrong = Counter(), Counter(), Counter(), []
    files_kept, files_accepted, shares = Counter(), Counter(), []
    for repo, commit, _ in repositories:
        row = expectation(truth, repo, commit)
        expected, of_file = row["expected"], row.get("files", {})
        own = decisions[repo, commit]
        counts = Counter(d.decision for d in own)
        confusion[expected, "allowed" if counts["allowed"] else "review" if counts["review"] else "rejected"] += 1
        accepted["all"] += expected == "accept"
        accepted["kept"] += expected == "accept" and counts["allowed"] > 0
        kept["all"] += counts["allowed"] > 0
        kept["right"] += counts["allowed"] > 0 and expected != "reject"
        before = dict(files_accepted)
        for one in own:
            wanted = of_file.get(one.path, expected)
            files_accepted["all"] += wanted == "accept"
            files_accepted["kept"] += wanted == "accept" and one.decision == "allowed"
            files_kept["all"] += one.decision == "allowed"
            right = wanted == "accept" or (wanted == "review" and bool(one.evidence))
            files_kept["right"] += one.decision == "allowed" and right
            if one.decision == "allowed" and not right:
                wrong.append(f"KEPT {repo} {one.path}: {one.expression} ({one.why})")
            elif wanted == "accept" and one.decision != "allowed":
                wrong.append(f"lost {repo} {one.path}: {one.decision}, {one.expression or 'no licence'} ({one.why})")
        if of_repo := files_accepted["all"] - before.get("all", 0):
            shares.append((files_accepted["kept"] - before.get("kept", 0)) / of_repo)
    names = ("allowed", "review", "rejected")
    rows = [(f"expected {e}", *(confusion[e, n] for n in names)) for e in ("accept", "review", "reject")]
    print(table(("repositories", "some files kept", "none kept, some to review", "all rejected"), rows))
    for line in sorted(wrong):
        print(f"  {line[:240]}")
    print(f"recall of files, mean over {len(shares)} repositories: {sum(shares) / max(1, len(shares)):.3f}")
    return {
        "repository precision": kept["right"] / max(1, kept["all"]),
        "repository recall": accepted["kept"] / max(1, accepted["all"]),
        "file precision": files_kept["right"] / max(1, files_kept["all"]),
        "file recall": files_accepted["kept"] / max(1, files_accepted["all"]),
    }


def false_negatives(repositories: list[Repository], library: Library, recipe, count: int) -> list[str]:
    """A sample of the files that the prefilter drops, of which the library finds a licence in the head of the file."""
    spared = [
        (repo, path, content[: recipe.head_characters])
        for repo, _, files in repositories
        for path, content in files
        if not texts.speaks_of_licences(content[: recipe.head_characters])
    ]
    chosen = random.Random(1).sample(spared, min(count, len(spared)))
    return [
        f"{repo} {path}: {finding['expression']}"
        for repo, path, head in chosen
        for finding in library.scan(head).findings
    ]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
