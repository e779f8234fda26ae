"""Numbers and rules about code files, with syntax and without, are at least 10 times as fast as plain Python's.

CPU time on one core is compared, with texts in memory on both sides. The files are those of the embedded sample or of a
folder. The peer (benchmarks/_code_peer.py) works like BigCode's preprocessing and datatrove's filters: regular
expressions, datatrove's own functions for repetition, Pygments for comments and string literals, and parsers to check
the syntax. Ours are compiled passes and tree-sitter, whose parsing takes over half the time. Both measure the syntax of
the same files: of all files except those that a rule of `unparsed` drops anyway. Measuring the syntax of every file is
timed too, and numbers that need no parser are also compared alone. Complexity (lizard) and the search for secrets run
on kept files only and are timed separately.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks._peers import peers_python
from benchmarks.harness import FOLDER, Claim, alternate, measure, ratio, table, verdict

if TYPE_CHECKING:
    from nemotron_assets.recipe.code.quality import CodeQuality

SAMPLE = Path(__file__).resolve().parent.parent / "nemotron_assets" / "sample" / "code" / "files.parquet"
LARGEST = 1 << 20


def files(folder: Path | None):
    """The files as rows of code.files, with the columns that the numbers are computed from."""
    import polars as pl

    from nemotron_assets.code.sources.files import file_id
    from nemotron_assets.code.sources.language import language_of

    if folder:
        paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size < LARGEST)
        found = [("local/folder", "0", str(path.relative_to(folder)), path.read_bytes()) for path in paths]
    else:
        found = pl.read_parquet(SAMPLE).select("repo", "commit_id", "rel_path", "content").rows()
    rows = []
    for repo, commit, path, data in found:
        try:
            text = data.decode()
        except UnicodeDecodeError:
            continue
        if text and "\0" not in text:
            language = language_of(path, text, model=False).name
            rows.append((file_id(repo, commit, path), repo, commit, path, language, len(data), text))
    return pl.DataFrame(rows, ["id", "repo", "commit_id", "rel_path", "language", "bytes", "content"], orient="row")


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="code", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer files, one round; under a minute")
    parser.add_argument("--input", type=Path, help="a folder of code (default: the embedded sample)")
    options = parser.parse_args(argv)

    import polars as pl

    from nemotron_assets.code.quality import rules, screen, signals, syntax
    from nemotron_assets.code.quality.secrets import clean
    from nemotron_assets.recipe import load_recipe

    recipe = load_recipe("nano2").code.quality
    rows = files(options.input).sort("id")  # as good as a random order
    ours, for_peer, rounds = (rows.head(400), rows.head(150), 1) if options.quick else (rows, rows, 2)
    size = {name: frame["bytes"].sum() / 1e6 for name, frame in (("ours", ours), ("for_peer", for_peer))}
    few = f"{len(for_peer):,} of them, {size['for_peer']:.2f} MB, for the peer"
    print(f"{len(ours):,} files, {size['ours']:.2f} MB; {few}")
    everything = recipe.model_copy(update={"unparsed": ()})

    def judged(settings: CodeQuality) -> pl.DataFrame:
        numbers = signals.annotate(ours, settings).with_columns(parents=pl.concat_list("id"))
        return numbers.with_columns(rules=rules.failures(settings))

    peer = {
        "files": for_peer.select("rel_path", "language", "bytes", "content").rows(),
        "bounds": {
            language: {name: (b.min, b.max) for name, b in recipe.rules_of(language).items()}
            for language in for_peer["language"].unique()
        },
        "unparsed": recipe.unparsed,
        "grammars": syntax.GRAMMARS,
    }

    def plain(run: str) -> float:
        program = [python, str(FOLDER / "_code_peer.py"), str(source), run]
        return size["for_peer"] / json.loads(measure(program).output.splitlines()[-1])["seconds"]

    def rate(work: Callable[[], object], amount: float) -> float:
        started = time.process_time()
        work()
        return amount / (time.process_time() - started)

    judged(everything)  # compiles, loads grammars
    python = peers_python()
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "files.json")
        source.write_text(json.dumps(peer))
        figures = alternate(
            rounds,
            left=lambda: rate(lambda: judged(recipe), size["ours"]),
            all=lambda: rate(lambda: judged(everything), size["ours"]),
            bytes=lambda: rate(lambda: signals.from_bytes(ours, recipe), size["ours"]),
            plain_left=lambda: plain("left"),
            plain_all=lambda: plain("all"),
            plain_bytes=lambda: plain("bytes"),
        )
    verdicts = judged(recipe)
    kept = ours.filter(verdicts["rules"].list.len() == 0)
    texts = kept.select("content", "language").rows()
    kept_mb = kept["bytes"].sum() / 1e6
    figures |= alternate(
        rounds,
        complexity=lambda: rate(
            lambda: [screen.cyclomatic(text, lang, recipe.max_measured_kb << 10) for text, lang in texts], kept_mb
        ),
        secrets=lambda: rate(lambda: [clean(text, recipe.secrets) for text, _ in texts], kept_mb),
    )
    labels = {
        "left": ("ours: numbers and rules", len(ours) / size["ours"]),
        "all": ("ours: with the syntax of every file", len(ours) / size["ours"]),
        "bytes": ("ours: numbers without syntax", len(ours) / size["ours"]),
        "plain_left": ("plain Python with Pygments: numbers and rules", len(for_peer) / size["for_peer"]),
        "plain_all": ("plain Python with Pygments: with the syntax of every file", len(for_peer) / size["for_peer"]),
        "plain_bytes": ("plain Python: numbers without syntax, rules", len(for_peer) / size["for_peer"]),
        "complexity": ("complexity (lizard), kept files", len(kept) / kept_mb),
        "secrets": ("secrets and personal data, kept files", len(kept) / kept_mb),
    }
    shown = [
        (labels[name][0], statistics.median(rates), statistics.median(rates) * labels[name][1])
        for name, rates in figures.items()
    ]
    print(table(("what", "MB/s/core", "files/s/core"), shown))
    print(f"kept {len(kept):,} of {len(ours):,} files")
    return verdict(
        [
            Claim("numbers and rules, to plain Python's", ratio(figures, "left", "plain_left"), at_least=10),
            Claim("numbers without syntax, to plain Python's", ratio(figures, "bytes", "plain_bytes"), at_least=10),
        ]
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
