"""The laptop's extractor keeps the main text of articles and documentation better than its peers do.

- precision, recall, F1: words of the output (as multisets, case-folded, the mean over pages) against those of the main
  part. Pages: documentation of the sample that marks its main part, the same pages without the marks ("unmarked"), and
  articles in six layouts of made-up sites (benchmarks/_extraction_pages.py says how they are made).
- list items, table cells, headings: the share whose words stand together in the output. paragraphs: the share that
  stands on one line, however the page's source wraps it. code: the share of <pre> blocks (of two lines or more) that
  stand in the output line for line.
- pages/s/core: over the CPU time of a system, without the time to load libraries. All systems run in one process, in
  turns.

jusText knows the language here (English stop words); trafilatura runs with its defaults.
"""

from __future__ import annotations

import argparse
import re
import statistics
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

from benchmarks._extraction_pages import Page, articles, sample
from benchmarks.harness import Claim, table, verdict

SYSTEMS = ("structure", "justext", "resiliparse", "trafilatura")
KINDS = ("documentation", "unmarked", "article")
PIECES = ("items", "cells", "headings", "paragraphs", "code")
_WORD = re.compile(r"[^\W_]+")
_FORMULA = re.compile(r"\$\$?[^$\n]{1,2000}\$\$?")


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="extraction", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="every fifth page, one round")
    parser.add_argument("--rounds", type=int, default=3, help="rounds, for the rate (default 3)")
    parser.add_argument("--worst", type=int, default=0, help="show this many pages with the lowest F1 of ours")
    options = parser.parse_args(argv)
    pages = sample()
    prose = [p for page in pages if page.kind == "documentation" for p in page.paragraphs if 120 < len(p) < 800]
    pages += articles(sorted(set(prose)))
    pages = pages[::5] if options.quick else pages
    print(f"{len(pages)} pages: " + ", ".join(f"{n} {kind}" for kind, n in Counter(p.kind for p in pages).items()))
    outputs, rates = run(pages, 1 if options.quick else options.rounds)
    scores = {name: score(pages, outputs[name]) for name in SYSTEMS}
    report(scores, rates)
    if options.worst:
        ours = sorted(
            (words(text, page.text)[2], page.kind, page.name)
            for page, text in zip(pages, outputs["structure"], strict=True)
        )
        print("\n".join(f"{f1:.3f} {kind} {name}" for f1, kind, name in ours[: options.worst]))
    return verdict(claims(scores, rates))


def run(pages: list[Page], rounds: int) -> tuple[dict[str, list[str]], dict[str, float]]:
    """(texts, pages per CPU second) by system; the rates are medians over rounds."""
    outputs: dict[str, list[str]] = {}
    used: defaultdict[str, list[float]] = defaultdict(list)
    for number in range(rounds):
        for name in SYSTEMS if number % 2 == 0 else SYSTEMS[::-1]:
            extract = system(name)
            extract(pages[0].html)
            started = time.process_time()
            outputs[name] = [extract(page.html) for page in pages]
            used[name].append(time.process_time() - started)
    return outputs, {name: len(pages) / statistics.median(seconds) for name, seconds in used.items()}


def system(name: str) -> Callable[[str], str]:
    """An extractor: markup to text."""
    if name == "structure":
        from nemotron_assets.web.structure import structured_text

        return structured_text
    if name == "justext":
        from nemotron_assets.recipe.web.documents import JusText
        from nemotron_assets.text.language import stop_list
        from nemotron_assets.web.paragraphs import justext_text

        return lambda page: justext_text(page, stop_list("en"), JusText())
    if name == "resiliparse":
        from resiliparse.extract.html2text import extract_plain_text

        return lambda page: extract_plain_text(page, main_content=True)
    import trafilatura

    return lambda page: trafilatura.extract(page) or ""


def words(text: str, reference: str) -> tuple[float, float, float]:
    """(precision, recall, F1) of the words of a text."""
    text = _FORMULA.sub(" ", text)  # the truth has no formulas
    found, wanted = (Counter(w.casefold() for w in _WORD.findall(t)) for t in (text, reference))
    common, output, truth = sum((found & wanted).values()), sum(found.values()), sum(wanted.values())
    return common / max(1, output), common / max(1, truth), 2 * common / max(1, output + truth)


def score(pages: list[Page], texts: list[str]) -> dict[str, float]:
    """{"article F1": value, …, "items": share kept, …} of a system."""
    found: dict[str, float] = {}
    for kind in KINDS:
        some = [words(text, page.text) for page, text in zip(pages, texts, strict=True) if page.kind == kind]
        for name, values in zip(("precision", "recall", "F1"), zip(*some, strict=True), strict=True):
            found[f"{kind} {name}"] = statistics.mean(values)
    kept: Counter[str] = Counter()
    every: Counter[str] = Counter()
    for page, text in zip(pages, texts, strict=True):
        lines = [" ".join(_WORD.findall(line)) for line in text.split("\n")]
        flat, by_line = f" {' '.join(lines)} ", "\n".join(f" {line} " for line in lines)
        verbatim = "\n".join(line.rstrip() for line in text.replace("\u00a0", " ").split("\n"))
        for name in PIECES:
            for piece in getattr(page, name):
                every[name] += 1
                if name == "code":
                    block = "\n".join(line.rstrip() for line in piece.replace("\u00a0", " ").split("\n"))
                    kept[name] += block.strip("\n") in verbatim
                else:
                    plain = f" {' '.join(_WORD.findall(piece))} "
                    kept[name] += plain in (by_line if name == "paragraphs" else flat)
    return found | {name: kept[name] / max(1, every[name]) for name in PIECES}


def report(scores: dict[str, dict[str, float]], rates: dict[str, float]) -> None:
    """Print the table."""
    rows = [[name, *(scores[system][name] for system in SYSTEMS)] for name in scores["structure"]]
    print(table(["", *SYSTEMS], [*rows, ["pages/s/core", *(rates[name] for name in SYSTEMS)]]))


def claims(scores: dict[str, dict[str, float]], rates: dict[str, float]) -> list[Claim]:
    """The claims of the benchmark with the measured values."""
    from nemotron_assets.recipe import load_recipe

    chosen = load_recipe("laptop").web.documents.extractor
    ours = scores[chosen]
    found = []
    for kind in KINDS:
        for name in SYSTEMS:
            if name != chosen:
                found.append(Claim(f"F1, {kind}, {name}", scores[name][f"{kind} F1"], at_most=ours[f"{kind} F1"]))
    found += [Claim(f"{name} kept by {chosen}", ours[name], at_least=0.95) for name in PIECES]
    return [*found, Claim("rate", rates[chosen], "pages/s/core", at_least=100)]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
