"""No formula is lost between a web page and its text, whatever the encoding, and the main text stays; peers lose more.

The rule is strict: a formula counts only if it is in the output as TeX between delimiters ($…$, $$…$$, \\(…\\),
\\[…\\]), each occurrence once. Two formulas are the same if their normal forms are (nemotron_assets/math/tex.py). The
normal form drops spacing, sizes (\\left, \\big, \\displaystyle), alignment (&, \\\\, aligned environments), grouping
braces, labels and comments; it unifies synonyms (\\le and \\leq, \\to and \\rightarrow, \\text and \\mathrm, \\hat and
\\widehat, \\bar and \\overline, Unicode letters and signs and their commands) and the order of scripts. The same rule
holds for every system.

- recall: the share of the page's formulas that are in the output, per encoding. precision: the share of the output's
  formulas that are in the page, over pages whose formulas are mostly in that encoding.
- mathml-stripped: the sample's annotated MathML without annotation, alternative text and fallback image.
- The truth of pages with Sphinx's images names only inline formulas. Displayed formulas, which are images with TeX in
  alt inside elements of class math, are added here.
- code: the share of <pre> blocks (of two lines or more) that are in the output line for line, with their indentation.
- main text: precision, recall and F1 of the output's words (as multisets, the mean over pages) against the visible text
  of <main>, <article>, an element with role main, or else the body, without navigation, scripts and formulas.
- cleaned: our texts after clean-up by rules. On the first chunks of `--llm` pages the embedded language model cleans
  up, and the guard of nemotron_assets/math/clean.py checks its answer.
- pages/s/core: over the CPU time of the system and of all processes that it starts, after libraries are loaded.

    make bench NAME=math_extraction ARGS="--input FOLDER --truth FILE.jsonl"

measures any folder of pages. Each line of the truth is {"file": name in the folder, "tex": [[encoding, TeX], …]}.
Instead of "file" it may have "url"; the name of the file is then the percent-encoded address, or the last part of the
address, with or without .html. If a line has "code": [blocks] or "text": main text, they are used.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from benchmarks._math_pages import STRIPPED, Page, folder_pages, sample_pages, without_annotations
from benchmarks._peers import peers_python
from benchmarks.harness import FOLDER, Claim, measure, table, verdict

SYSTEMS = ("ours", "trafilatura", "resiliparse", "justext", "html2text", "lynx")
CLEANED = "cleaned"
RIVALS = ("trafilatura", "resiliparse", "justext", "lynx")  # our F1 of the main text must be above each of these
LEAST = 50  # an encoding with fewer formulas is shown, but not judged


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="math_extraction", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--input", type=Path, help="a folder of HTML pages instead of the sample")
    parser.add_argument("--truth", type=Path, help="the formulas of the pages, as JSON lines")
    parser.add_argument("--quick", action="store_true", help="every third page, one round")
    parser.add_argument("--rounds", type=int, default=3, help="rounds, for the rate (default 3)")
    parser.add_argument("--llm", type=int, help="pages of which the model reads a chunk (default 12; none if quick)")
    parser.add_argument("--lost", type=int, default=0, help="show up to this many lost formulas of ours per encoding")
    options = parser.parse_args(argv)
    if bool(options.input) != bool(options.truth):
        parser.error("--input and --truth must be given together")
    pages = folder_pages(options.input, options.truth) if options.input else sample_pages()
    if options.quick:
        pages = pages[::3]
    pages += [stripped for page in pages if (stripped := without_annotations(page))]
    print(f"{len(pages)} pages, {sum(len(page.tex) for page in pages):,} formulas")
    outputs, rates = run(pages, 1 if options.quick else options.rounds)
    asked = options.llm if options.llm is not None else 0 if options.quick else 12
    outputs[CLEANED], outcomes = cleaned(outputs["ours"], asked)
    scores = {name: score(pages, outputs[name]) for name in (*SYSTEMS, CLEANED)}
    report(scores, rates)
    print("Chunks after clean-up: " + ", ".join(f"{name} {count}" for name, count in sorted(outcomes.items())) + ".")
    if options.lost:
        show_lost(pages, outputs["ours"], options.lost)
    return verdict(claims(scores, rates))


# -- measuring --------------------------------------------------------------------------------------------------------


def run(pages: list[Page], rounds: int) -> tuple[dict[str, list[str]], dict[str, float]]:
    """(texts, pages per CPU second) by system; rates are medians over rounds in which the systems take turns."""
    outputs: dict[str, list[str]] = {}
    used: defaultdict[str, list[float]] = defaultdict(list)
    peers = peers_python()
    with tempfile.TemporaryDirectory() as work:
        source = Path(work, "pages.jsonl")
        source.write_text("".join(json.dumps({"page": page.html}) + "\n" for page in pages))
        for number in range(rounds):
            for name in SYSTEMS if number % 2 == 0 else SYSTEMS[::-1]:
                target = Path(work, f"{name}.jsonl")
                python = peers if name == "html2text" else sys.executable
                program = str(FOLDER / "_math_systems.py")
                env = {"PYTHONPATH": str(FOLDER.parent)} if name != "html2text" else {}
                result = measure([python, program, name, str(source), str(target)], env=env)
                used[name].append(json.loads(result.output.strip().rpartition("\n")[2])["cpu_seconds"])
                outputs[name] = [json.loads(line)["text"] for line in target.read_text().splitlines()]
    return outputs, {name: len(pages) / statistics.median(seconds) for name, seconds in used.items()}


def cleaned(texts: list[str], asked: int) -> tuple[list[str], Counter[str]]:
    """(the texts after clean-up, the number of chunks by outcome).

    The model cleans the first chunk of `asked` pages with formulas, chosen evenly from all of them. Rules clean the
    rest.
    """
    from nemotron_assets.math import clean, tex
    from nemotron_assets.math.corpus.cleaning import request
    from nemotron_assets.recipe import load_recipe
    from resources.gpu import Gpu
    from resources.pretrained import fetch

    recipe, answers, chunks = load_recipe("laptop"), {}, {}
    with_formulas = [i for i, text in enumerate(texts) if next(tex.find(text), None)]
    chosen = with_formulas[:: max(1, len(with_formulas) // asked)][:asked] if asked else []
    numbers = recipe.math.corpus.cleaner
    if chosen:
        gpu = Gpu.from_recipe(recipe.llm)
        with tempfile.TemporaryDirectory() as folder:
            engine = gpu.engine(fetch("embedded", Path(folder, "model"))[1])
            chunks = {i: clean.chunks(texts[i], engine.count_tokens, numbers.chunk_tokens) for i in chosen}
            pairs = [(f"{i:032x}", request(parts[0], numbers)) for i, parts in chunks.items()]
            room = recipe.llm.max_model_len - numbers.max_output_tokens
            answers = dict(engine.run(pair for pair in pairs if len(engine.prompt_ids(pair[1])) <= room))
            gpu.release()
    guard = clean.Guard(numbers.max_invented, numbers.min_kept, numbers.max_added)
    results, outcomes = [], Counter()
    for i, text in enumerate(texts):
        answer, parts = answers.get(f"{i:032x}"), chunks.get(i) or [text]
        done = [clean.by_rules(part) for part in parts]
        if answer is not None:
            cut = answer.finish_reason == "length"
            done[0] = clean.judge(parts[0], answer.text, truncated=cut, guard=guard)
        outcomes.update(piece.outcome for piece in done)
        results.append(clean.lossless(text, clean.merge([piece.text for piece in done])))
    return results, outcomes


def score(pages: list[Page], texts: list[str]):
    """The total scores of a system."""
    from nemotron_assets.math.scoring import score_page, total

    return total(
        score_page(text, page.tex, code=page.code, reference=page.text or None)
        for page, text in zip(pages, texts, strict=True)
    )


def share(pair: tuple[int, int]) -> float:
    """The share of items found, from a pair (number of items, number found); 1.0 if there are 0 items."""
    return pair[1] / pair[0] if pair[0] else 1.0


def report(scores: dict, rates: dict[str, float]) -> None:
    """Print the tables of recall, precision and rates."""
    from nemotron_assets.math.scoring import Words

    ours, systems = scores["ours"], ("ours", CLEANED, *SYSTEMS[1:])
    names = sorted(ours.recall, key=lambda name: (-ours.recall[name][0], name))
    print("\nrecall\n")
    rows = [
        [name + ("" if ours.recall[name][0] >= LEAST else " *"), ours.recall[name][0]]
        + [share(scores[system].recall[name]) for system in systems]
        for name in names
    ]
    rows.append(["all", sum(w for w, _ in ours.recall.values())] + [share(_sum(scores[s].recall)) for s in systems])
    print(table(["encoding", "formulas", *systems], rows))
    print("\nprecision, by the page's dominant encoding (share of the formulas in the output)\n")
    rows = [
        [
            name,
            *(f"{share(p):.3g} of {p[0]}" if (p := scores[s].precision.get(name, (0, 0)))[0] else "-" for s in systems),
        ]
        for name in names
    ]
    print(table(["encoding", *systems], rows))
    print()
    rows = [
        ["code blocks verbatim", *(share(scores[s].code) for s in systems)],
        *([f"main text, {name}", *(getattr(scores[s].words, name) for s in systems)] for name in Words._fields),
        ["pages/s/core", *(rates.get(s, "-") for s in systems)],
    ]
    print(table(["", *systems], rows))
    print(f"\n{ours.code[0]:,} code blocks. Rows with * have fewer than {LEAST} formulas and are not judged.")


def _sum(pairs) -> tuple[int, int]:
    return sum(a for a, _ in pairs.values()), sum(b for _, b in pairs.values())


def claims(scores: dict, rates: dict[str, float]) -> list[Claim]:
    """The claims of the benchmark with the measured values."""
    ours, peers = scores["ours"], [scores[name] for name in SYSTEMS[1:]]
    main = scores[CLEANED].words
    found = [
        Claim("recall after clean-up, all", share(_sum(scores[CLEANED].recall)), at_least=0.98),
        Claim("words of the main text after clean-up, recall", main.recall, at_least=0.97),
        Claim("words of the main text after clean-up, precision", main.precision, at_least=0.95),
    ]
    for name in RIVALS:
        found.append(Claim(f"F1 of the main text, {name}", scores[name].words.f1, at_most=main.f1))
    for name, (wanted, kept) in sorted(ours.recall.items()):
        if wanted < LEAST:
            continue
        found.append(Claim(f"recall, {name}", kept / wanted, at_least=0.90 if name == STRIPPED else 0.98))
        best = max(share(peer.recall[name]) for peer in peers)
        found.append(Claim(f"recall of the best peer, {name}", best, at_most=kept / wanted))
        output, right = ours.precision.get(name, (0, 0))
        if output >= LEAST and name != STRIPPED:
            found.append(Claim(f"precision, {name}", right / output, at_least=0.97))
    if ours.code[0]:
        found.append(Claim("code blocks verbatim", share(ours.code), at_least=0.95))
        found.append(Claim("code blocks verbatim after clean-up", share(scores[CLEANED].code), at_least=0.95))
    found.append(Claim("rate", rates["ours"], "pages/s/core", at_least=100))
    return found


def show_lost(pages: list[Page], texts: list[str], most: int) -> None:
    """Print formulas that ours lost, up to `most` per encoding."""
    from nemotron_assets.math.scoring import score_page

    shown: Counter[str] = Counter()
    for page, text in zip(pages, texts, strict=True):
        scored = score_page(text, page.tex)
        for formula in scored.lost:
            shown[scored.dominant] += 1
            if shown[scored.dominant] <= most:
                print(f"{scored.dominant}, {page.name}: {formula[:300]}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
