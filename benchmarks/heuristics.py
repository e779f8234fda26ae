"""The 28 rules run at least 40 times as fast as datatrove's filters, 8 times if it gets cheap words, and as written.

CPU time on one core is compared, with texts in memory on both sides: ours from Arrow strings to verdicts, datatrove's
from Document objects through its Gopher quality, Gopher repetition, FineWeb and C4 filters. Documents are paragraphs of
the documentation on this machine, 3 kB at the median. datatrove is measured with its defaults (spaCy's words), with
str.split for words, and also with a regular expression for C4's sentences. Each is measured as a chain, which a
document leaves at the first filter that it fails, and with every filter on every document, as ours does it. The claims
are about the chain.

The decisions, per document and per rule, are compared with the plain Python version of the written rules in the tests.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks._peers import peers_python
from benchmarks.harness import FOLDER, Claim, alternate, measure, ratio, table, verdict
from benchmarks.ingest import texts

MEDIAN_CHARACTERS, SPREAD = 3_000, 0.6
BLANK_LINES = re.compile(r"\n\s*\n")
MARKS = {"#", "*", "//", "/*", "*/", "..", "--"}


def articles(chance: random.Random) -> Iterator[str]:
    """Running text like extracted pages, a paragraph per line, of log-normal length."""
    for _, text in texts():
        size, wanted, chosen = 0, chance.lognormvariate(0, SPREAD) * MEDIAN_CHARACTERS, []
        for paragraph in BLANK_LINES.split(text):
            line = " ".join(word for word in paragraph.split() if word not in MARKS)
            if len(line) < 80 or line[-1] not in ".?!" or sum(map(str.isalpha, line)) < 0.72 * len(line):
                continue
            chosen.append(line)
            size += len(line)
            if size >= wanted:
                yield "\n\n".join(chosen)
                size, wanted, chosen = 0, chance.lognormvariate(0, SPREAD) * MEDIAN_CHARACTERS, []


def raw_pieces(chance: random.Random) -> Iterator[str]:
    """Unchanged pieces of files, including code, of log-normal length."""
    for _, text in texts():
        start = 0
        while start < len(text):
            end = start + round(chance.lognormvariate(0, SPREAD) * MEDIAN_CHARACTERS)
            if chance.random() < 0.1:  # few pieces per file, so that they come from many files
                yield text[start:end]
            start = end


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="heuristics", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer documents, one round; under a minute")
    parser.add_argument("--peers", type=Path, help="python with datatrove (default: one made from bench.lock)")
    options = parser.parse_args(argv)
    ours, peers, checked, rounds = (1_000, 100, 200, 1) if options.quick else (6_000, 500, 1_500, 3)
    python = options.peers or Path(peers_python())

    import polars as pl
    import pyarrow as pa

    from nemotron_assets.recipe import load_recipe
    from nemotron_assets.text.heuristics import measure as numbers
    from nemotron_assets.web.quality.verdicts import failures
    from tests.text import reference

    corpus = list(itertools.islice(articles(random.Random(1)), ours))
    sizes = [len(text) for text in corpus]
    print(
        f"{len(corpus):,} documents, {statistics.median(sizes):,.0f} characters at the median; {peers:,} for datatrove"
    )
    recipe = load_recipe("nano2")
    rules = recipe.web.heuristics.model_copy(update={"max_perplexity": None})
    facts = {"language": pl.lit("en"), "level": pl.lit("low")}
    array = pa.array(corpus, pa.large_string())

    def judged(texts: pa.Array) -> pl.DataFrame:
        return numbers(texts, recipe.web.measures).with_columns(**facts).with_columns(failed=failures(rules))

    def our_rate(work) -> float:
        started = time.process_time()
        work(array)
        return len(array) / (time.process_time() - started)

    kept: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "texts.json")
        source.write_text(json.dumps(corpus[:peers]))

        def rate(words: str, run: str) -> float:
            program = FOLDER / "_heuristics_peers.py"
            found = json.loads(measure([str(python), str(program), str(source), words, run]).output.splitlines()[-1])
            kept[f"{words} {run}"] = f"{found['kept'] / found['documents']:.0%}"
            return found["documents"] / found["seconds"]

        judged(array)  # compiles
        systems = {
            f"{words} {run}": lambda words=words, run=run: rate(words, run)
            for words in ("spacy", "split", "split-all")
            for run in ("chain", "every")
        }
        figures = alternate(
            rounds,
            numbers=lambda: our_rate(lambda texts: numbers(texts, recipe.web.measures)),
            verdicts=lambda: our_rate(judged),
            **systems,
        )

    # Half of the texts for which decisions are compared are unchanged pieces of files: many of them are dropped.
    mixed = corpus[: checked // 2] + list(itertools.islice(raw_pieces(random.Random(2)), checked - checked // 2))
    verdicts = judged(pa.array(mixed, pa.large_string()))
    same_rules = same_kept = 0
    names = list(type(rules.rules).model_fields)
    for text, failed in zip(mixed, verdicts["failed"].to_list(), strict=True):
        found = reference.numbers(text, recipe.web.measures)
        expected = [name for name in names if outside(found[name], getattr(rules.rules, name))]
        same_kept += bool(expected) == bool(failed)
        same_rules += sum((name in expected) == (name in failed) for name in names)
    kept["verdicts"] = f"{(judged(array)['failed'].list.len() == 0).mean():.0%}"
    dropped = (verdicts["failed"].list.len() > 0).mean()
    labels = {
        "numbers": "ours, the 28 numbers", "verdicts": "ours, numbers and verdicts",
        "spacy chain": "datatrove, chain", "spacy every": "datatrove, every filter",
        "split chain": "datatrove with str.split, chain", "split every": "datatrove with str.split, every filter",
        "split-all chain": "datatrove with str.split and cheap sentences, chain",
        "split-all every": "datatrove with str.split and cheap sentences, every filter",
    }  # fmt: skip
    rows = [
        (
            labels[n],
            statistics.median(f),
            f"{min(f):,.0f} to {max(f):,.0f}",
            ratio(figures, "verdicts", n),
            kept.get(n, ""),
        )
        for n, f in figures.items()
    ]
    print(table(("system", "documents/s", "of the rounds", "ours is faster by", "kept"), rows))
    print(f"decisions compared on {len(mixed):,} documents, {dropped:.0%} of which are dropped")
    return verdict(
        [
            Claim("rate to datatrove's", ratio(figures, "verdicts", "spacy chain"), at_least=40),
            Claim("rate to datatrove's with the same words", ratio(figures, "verdicts", "split chain"), at_least=8),
            Claim("the same, with cheap sentences", ratio(figures, "verdicts", "split-all chain"), at_least=8),
            Claim("same decision as the written rules", same_kept / checked, at_least=0.99),
            Claim("same decision, rule by rule", same_rules / checked / len(names), at_least=0.99),
        ]
    )


def outside(value: float, bounds) -> bool:
    """Whether a number is outside its bounds, in plain Python."""
    return (bounds.min is not None and value < bounds.min) or (bounds.max is not None and value > bounds.max)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
