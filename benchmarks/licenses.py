"""Licences: precision of what is allowed 1.0, recall 0.95; 20 files/s/core cold, 2,000 by cached content.

`--input DIR` holds repositories as folders owner/name/... or the sample's repositories.parquet and files.parquet,
`--truth FILE` one JSON line per repository: repo, expected (accept, reject, review), and commit_id where one occurs
twice; `files` may give an expectation per path (accept or reject). Without them: the sample.

A repository is kept when any of its files is. Precision: of the files (repositories) kept, those that the truth does not
reject; files of `review` repositories count only if their own evidence allows them, which the run shows. Recall: of the
repositories expected to be accepted, those kept, and of their files, those kept.
"""  # noqa: E501

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

from benchmarks.harness import Claim, table, verdict
from nemotron_assets.code.licences import texts
from nemotron_assets.code.licences.decide import Decision, decide, excerpt
from nemotron_assets.code.licences.library import Library, Scan
from nemotron_assets.recipe import current_recipe

SAMPLE = Path(__file__).resolve().parent.parent / "nemotron_assets" / "sample"
Repository = tuple[str, str, list[tuple[str, str]]]


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="licenses")
    parser.add_argument("--input", type=Path, default=SAMPLE / "code")
    parser.add_argument("--truth", type=Path, default=SAMPLE / "truth" / "code_licences.jsonl")
    parser.add_argument("--quick", action="store_true", help="every fourth repository only")
    parser.add_argument("--missed", type=int, default=0, metavar="N", help="ask the library about N files that the "
                        "prefilter spares it, and count what it would have found")  # fmt: skip
    options = parser.parse_args(argv)
    truth = read_truth(options.truth)
    repositories = [r for r in read(options.input) if expectation(truth, r[0], r[1])]
    if options.quick:
        repositories = repositories[::4]
    if not repositories:
        print(f"{options.input} has none of the {len(truth)} repositories of {options.truth}", file=sys.stderr)
        return 2
    recipe = current_recipe().code_licences
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
        print(f"of {options.missed} files without a licence-like word, the library finds a licence in {len(missed)}: "
              f"{'; '.join(missed[:10])}")  # fmt: skip
    return verdict(
        [
            Claim("precision of allowed, repositories", quality["repository precision"], at_least=1.0),
            Claim("precision of allowed, files", quality["file precision"], at_least=1.0),
            Claim("recall, repositories", quality["repository recall"], at_least=0.95),
            Claim("recall, files", quality["file recall"], at_least=0.95),
            Claim("cold, index included", files / cold, "files/s/core", at_least=20),
            Claim("by cached content", files / warm, "files/s/core", at_least=2_000),
        ]
    )


def read_truth(file: Path) -> dict[tuple[str, str], dict]:
    rows = [json.loads(line) for line in file.read_text().splitlines() if line.strip()]
    return {(row["repo"], row.get("commit_id", "")): row for row in rows}


def expectation(truth: dict, repo: str, commit: str) -> dict | None:
    """The truth about a repository: that of its commit, or without one."""
    if (repo, commit) in truth:
        return truth[repo, commit]
    named = [row for (name, _), row in truth.items() if name == repo]
    return named[0] if len(named) == 1 else None


def read(folder: Path) -> Iterator[Repository]:
    """Repositories with the texts of their files; what is no text is left out."""
    if (folder / "files.parquet").exists():
        import polars as pl

        rows = pl.read_parquet(folder / "files.parquet")
        for (repo, commit), group in rows.group_by("repo", "commit_id", maintain_order=True):
            yield repo, commit, [(p, t) for p, c in group.select("rel_path", "content").iter_rows() if (t := text(c))]
        return
    for repo in sorted(path for path in folder.glob("*/*") if path.is_dir()):
        files = sorted(p for p in repo.rglob("*") if p.is_file() and not p.is_symlink() and ".git" not in p.parts)
        yield (
            "/".join(repo.parts[-2:]),
            "",
            [
                (str(p.relative_to(repo)), t)
                for p in files
                if p.stat().st_size < 5_000_000 and (t := text(p.read_bytes()))
            ],
        )


def text(content: bytes) -> str | None:
    return None if b"\0" in content[:8_000] or not content else content.decode("utf-8-sig", "replace")


def judged(repositories: list[Repository], library: Library, recipe) -> dict[tuple[str, str], list[Decision]]:
    return {
        (repo, commit): decide([excerpt(path, path, content, recipe) for path, content in files], library.scan, recipe)
        for repo, commit, files in repositories
    }


def cpu(library: Library) -> float:
    """CPU seconds of this process and the library's."""
    import psutil

    own = time.process_time()
    if library._process is None:
        return own
    times = psutil.Process(library._process.pid).cpu_times()
    return own + times.user + times.system


def report(decisions: dict, repositories: list[Repository], truth: dict) -> dict[str, float]:
    """Print what was decided about what; returns precision and recall."""
    confusion, kept, accepted, wrong = Counter(), Counter(), Counter(), []
    files_kept, files_accepted = Counter(), Counter()
    for repo, commit, _ in repositories:
        row = expectation(truth, repo, commit)
        expected, of_file = row["expected"], row.get("files", {})
        mine = decisions[repo, commit]
        counts = Counter(d.decision for d in mine)
        confusion[expected, "allowed" if counts["allowed"] else "review" if counts["review"] else "rejected"] += 1
        accepted["all"] += expected == "accept"
        accepted["kept"] += expected == "accept" and counts["allowed"] > 0
        kept["all"] += counts["allowed"] > 0
        kept["right"] += counts["allowed"] > 0 and expected != "reject"
        for one in mine:
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
    names = ("allowed", "review", "rejected")
    rows = [(f"expected {e}", *(confusion[e, n] for n in names)) for e in ("accept", "review", "reject")]
    print(table(("repositories", "some files kept", "none kept, some to review", "all rejected"), rows))
    for line in sorted(wrong):
        print(f"  {line[:240]}")
    return {
        "repository precision": kept["right"] / max(1, kept["all"]),
        "repository recall": accepted["kept"] / max(1, accepted["all"]),
        "file precision": files_kept["right"] / max(1, files_kept["all"]),
        "file recall": files_accepted["kept"] / max(1, files_accepted["all"]),
    }


def false_negatives(repositories: list[Repository], library: Library, recipe, count: int) -> list[str]:
    """Among files that are not shown to the library, those in whose head it finds a licence after all."""
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
