"""What `make run` reached on its lake: formulas, duplicates, languages, licences, SFT, models, compression, its time.

The tests of the whole graph run a smaller recipe and judge no quality; this benchmark does. It reads the lake of a
finished `make run` (recipe laptop, embedded sample) and the ground truth of the sample. It runs nothing, but for the
compressed model and its teacher, which answer fresh items of the suite: the lake has too few to tell them apart.
--home names another home folder than the one that `nemotron` uses.

Time: the seconds of every step and its checks, from the run history, by group of assets, beside those that
`nemotron plan` expects. Groups of less than five seconds are judged together, because a second more or less decides
about them.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks._laptop_align import post_training
from benchmarks._laptop_compress import compression
from benchmarks.harness import Claim, table, verdict

TRUTH = Path(__file__).resolve().parents[1] / "nemotron_assets" / "sample" / "truth"

#: Groups that take less than so many seconds are judged together.
_SMALL_S = 5.0


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="laptop", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--home", type=Path, metavar="DIR", help="home folder of the finished lake")
    parser.add_argument("--quick", action="store_true", help="the same: nothing is run")
    options = parser.parse_args(argv)
    if options.home:
        os.environ["NEMOTRON_HOME"] = str(options.home)

    from nemotron_assets.definitions import lake
    from nemotron_assets.web.release.tables import NEMOTRON_CC_V2

    if not lake.read(NEMOTRON_CC_V2).exists:
        print(f"the lake {lake.root} is not finished: run `make run` first, or name its home with --home")
        return 2
    claims = [*web(lake), *mathematics(lake), *code(lake), *sft(lake), *models(lake), *post_training(lake)]
    claims += [*compression(lake), *planned()]
    return verdict(claims)


def rows(lake: Any, found: Any) -> Any:
    return lake.read(found).scan().collect()


def truth(name: str) -> list[dict[str, Any]]:
    """A file of the sample's ground truth."""
    path = TRUTH / name
    text = gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text()
    return [json.loads(line) for line in text.splitlines()]


# -- the web -----------------------------------------------------------------------------------------------------------


def web(lake: Any) -> list[Claim]:
    """Duplicates against the planted groups, languages against the pages' true ones, and synthetic texts."""
    from nemotron_assets.web.dedup.tables import DUPLICATES, UNIQUE_DOCUMENTS
    from nemotron_assets.web.quality.tables import MULTILINGUAL
    from nemotron_assets.web.synthetic.tables import DIVERSE_QA, REPHRASED
    from nemotron_assets.web.tables import DOCUMENTS

    documents, dropped = rows(lake, DOCUMENTS), set(rows(lake, DUPLICATES)["document"])
    places = {id: (snapshot, url) for id, snapshot, url in documents.select("id", "snapshot", "url").iter_rows()}
    kept = {place for id, place in places.items() if id not in dropped}
    planted = [group for group in truth("duplicates.jsonl") if _is_copy(group)]
    copies = [[tuple(member) for member in group["members"]] for group in planted]
    copies = [[place for place in group if place in set(places.values())] for group in copies]
    copies = [group for group in copies if len(group) > 1]
    left = [max(0, sum(place in kept for place in group) - 1) for group in copies]
    members = {place for group in truth("duplicates.jsonl") for place in map(tuple, group["members"])}
    strangers = sum(places[id] not in members for id in dropped)

    language = {(page["snapshot"], page["url"]): page["language"] for page in truth("pages.jsonl.gz")}
    judged = [
        (places[id], found) for id, found in documents.select("id", "language").iter_rows() if language.get(places[id])
    ]
    right = sum(language[place] == found for place, found in judged)
    foreign = rows(lake, MULTILINGUAL)
    print(table(("web", "rows"), [
        ("documents", len(documents)), ("dropped as duplicates", len(dropped)),
        ("unique documents", len(rows(lake, UNIQUE_DOCUMENTS))), ("in other languages, kept", len(foreign)),
        ("rephrased", len(rows(lake, REPHRASED))), ("Diverse QA", len(rows(lake, DIVERSE_QA))),
    ]))  # fmt: skip
    return [
        Claim(
            "copies of planted groups that are dropped", 1 - sum(left) / sum(len(g) - 1 for g in copies), at_least=0.98
        ),
        Claim("dropped documents that are in no group", strangers / max(1, len(dropped)), at_most=0.05),
        Claim("documents with the language of the page", right / len(judged), at_least=0.97),
        Claim("languages of web.multilingual", foreign["language"].n_unique(), at_least=12),
        Claim("rephrased documents", len(rows(lake, REPHRASED)), at_least=4),
        Claim("Diverse QA samples", len(rows(lake, DIVERSE_QA)), at_least=2),
    ]


def _is_copy(group: dict[str, Any]) -> bool:
    """Whether deduplication has to find the group: equal texts, and near ones with a similarity of 0.85 or more."""
    return group["kind"] in ("exact", "exact-text") or (group["kind"] == "near" and min(group["jaccard5"]) >= 0.85)


# -- mathematics, code -------------------------------------------------------------------------------------------------


def mathematics(lake: Any) -> list[Claim]:
    """Formulas that clean-up keeps, and planted benchmark items that are found."""
    from nemotron_assets.math.corpus.tables import CLEANED, CONTAMINATION, MIND, NEMOTRON_CC_MATH
    from nemotron_assets.math.tables import RENDERED

    rendered, cleaned = rows(lake, RENDERED)["formulas"].sum(), rows(lake, CLEANED)["formulas"].sum()
    planted = {(item["benchmark"], item["item"]) for item in truth("contamination.jsonl") if item["planted"]}
    found = {tuple(row) for row in rows(lake, CONTAMINATION).select("benchmark", "item").iter_rows()}
    print()
    print(table(("mathematics", "number"), [
        ("formulas of rendered pages", rendered), ("formulas of cleaned pages", cleaned),
        ("pages in CC-Math", len(rows(lake, NEMOTRON_CC_MATH))), ("dialogues", len(rows(lake, MIND))),
        ("planted benchmark items", len(planted)), ("of them in math.contamination", len(planted & found)),
    ]))  # fmt: skip
    return [
        Claim("formulas of rendered pages", rendered, at_least=5_000),
        Claim("share of them in cleaned pages", cleaned / rendered, at_least=1.0),
        Claim("dialogues", len(rows(lake, MIND)), at_least=3),
    ]


def code(lake: Any) -> list[Claim]:
    """Files of repositories whose licence is rejected or accepted in truth, and languages with a solved problem."""
    from nemotron_assets.code.qa.tables import QA
    from nemotron_assets.code.quality.tables import CURATED

    expected = {repo["repo"]: repo["expected"] for repo in truth("code_licences.jsonl")}
    curated, solved = rows(lake, CURATED), rows(lake, QA)
    corpus = Counter(expected.get(repo, "not in the truth") for repo in curated["repo"])
    accepted = {repo for repo, decision in expected.items() if decision == "accept"}
    in_corpus = accepted & set(curated["repo"])
    print()
    print(table(("files of the corpus, by the truth about their repository", "files"), sorted(corpus.items())))
    return [
        Claim("files of the corpus", len(curated), at_least=300),
        Claim("files of rejected repositories in it", corpus["reject"], at_most=0),
        Claim("accepted repositories in it", len(in_corpus) / len(accepted), at_least=0.9),
        Claim("languages with a problem and its solution", solved["language"].n_unique(), at_least=6),
    ]


# -- SFT data ----------------------------------------------------------------------------------------------------------


def sft(lake: Any) -> list[Claim]:
    """Rows by status of every SFT table. A table without usable rows lists why its rows were rejected."""
    from nemotron_assets.stages import all_tables
    from resources.lakehouse.quarantine import QUARANTINE

    tables = [
        found for name, found in all_tables().items() if name.startswith("sft.") and "status" in found.column_names
    ]
    rejected = rows(lake, QUARANTINE)
    shown, claims = [], []
    for found in tables:
        made = rows(lake, found) if lake.read(found).exists else None
        counts = Counter(made["status"]) if made is not None and "status" in made.columns else Counter()
        usable = sum(number for status, number in counts.items() if status != "failed")
        why = Counter(rejected.filter(rejected["stage"] == found.full_name)["cause"]) if not usable else Counter()
        reasons = ", ".join(f"{cause} {number}" for cause, number in why.most_common(3))
        shown.append((found.full_name, *(counts[status] for status in _STATUSES), reasons))
        claims.append(Claim(f"{found.full_name}: usable rows, or causes of rejects", usable + len(why), at_least=1))
        if found.full_name == "sft.nemotron_sft":
            claims.append(Claim("sft.nemotron_sft: failed rows", counts["failed"], at_most=0))
        if found.full_name == "sft.procedural":
            claims.append(Claim("sft.procedural: rows that are not verified", usable - counts["verified"], at_most=0))
    if shown:
        print()
        print(table(("SFT table", *_STATUSES, "reasons of rejects"), shown))
    return claims


_STATUSES = ("verified", "majority", "judged", "unverified", "failed")


# -- models, time ------------------------------------------------------------------------------------------------------


#: The most that the base model may need of the bits per byte of single bytes, on every kind of held-out text.
_OF_UNIGRAM = 0.7


def models(lake: Any) -> list[Claim]:
    """Bits per byte of both models on every kind of held-out text, beside single bytes and gzip; what the long context
    gains; RULER."""
    from nemotron_assets.evaluate.by_position import compared
    from nemotron_assets.evaluate.checks import WORSE_AT_MOST
    from nemotron_assets.evaluate.tables import BENCHMARK_SCORES, BITS_BY_POSITION
    from nemotron_assets.models.tables import TRAINING_METRICS
    from nemotron_assets.pretrain.tables import BASE, LONG_CONTEXT

    metrics, scores = rows(lake, TRAINING_METRICS), rows(lake, BENCHMARK_SCORES)
    base, extended = (rows(lake, found).sort("at")["id"][-1] for found in (BASE, LONG_CONTEXT))
    losses = metrics.filter(metrics["model_id"] == base).sort("step")["loss"]
    claims = [Claim("fall of the loss of models.base", losses[0] - losses[-1], at_least=0.5)]
    own, longer = (scores.filter(model_id=model).sort("task", "length") for model in (base, extended))
    bits, of_longer = (
        {row["task"]: row for row in found.filter(metric="bits_per_byte").iter_rows(named=True)}
        for found in (own, longer)
    )
    shown = []
    for task, row in bits.items():
        single, gzipped = row["unigram_bits_per_byte"], row["gzip_bits_per_byte"]
        shown.append((task, row["samples"], row["value"], of_longer[task]["value"], single, gzipped))
        claims.append(Claim(f"{task}: bits per byte, to single bytes", row["value"] / single, at_most=_OF_UNIGRAM))
    print()
    heads = ("bits per byte", "texts", "models.base", "models.long_context", "single bytes", "gzip -9")
    print(table(heads, shown))
    web = bits["held_out_english_web"]
    claims.append(
        Claim("English web pages: bits per byte, to gzip", web["value"] / web["gzip_bits_per_byte"], at_most=1)
    )
    positions = rows(lake, BITS_BY_POSITION).filter(rows(lake, BITS_BY_POSITION)["model_id"].is_in([base, extended]))
    by_position = positions.sort("first_token", "trained_length")
    print()
    print(table(("position in tokens", "context", "documents", "bits per byte"), [
        (f"{row['first_token']} to {row['last_token']}", row["trained_length"], row["documents"], row["bits_per_byte"])
        for row in by_position.iter_rows(named=True)
    ]))  # fmt: skip
    found = compared(positions, base, extended) or {"within": float("nan"), "beyond": float("nan")}
    claims.append(Claim("long context, to base, within its context", found["within"], at_most=1 + WORSE_AT_MOST))
    claims.append(Claim("long context, to base, beyond its context", found["beyond"], at_most=0.9999))
    asked = longer.filter(metric="recall", task="ruler")
    print()
    print(table(("RULER, all tasks", "recall"), list(asked.select("length", "value").iter_rows())))
    return [*claims, Claim("lengths of RULER that models.long_context is asked at", len(asked), at_least=3)]


def planned() -> list[Claim]:
    """Seconds of the steps of every group beside the plan's."""
    from nemotron_assets.definitions import defs
    from nemotron_assets.instance import instance
    from nemotron_assets.planning.figures import Figure
    from nemotron_assets.planning.plan import Plan
    from nemotron_assets.recipe import load_recipe

    graph, plan = defs.resolve_asset_graph(), Plan(load_recipe("laptop"))
    measured, expected = Counter(), Counter()
    with instance() as home:
        for key, seconds in step_seconds(home).items():
            measured[graph.get(key).group_name] += seconds
    for key in graph.executable_asset_keys:
        spent = plan.of(".".join(key.path)).core_seconds
        if key.path[0] != "lake" and isinstance(spent, Figure):
            expected[graph.get(key).group_name] += spent.expected
    del measured["lake"]
    small = [group for group in measured if max(measured[group], expected[group]) < _SMALL_S]
    for counts in (measured, expected):
        counts["small groups"] = sum(counts.pop(group, 0.0) for group in small)
    print()
    lines = [(g, s, expected[g], expected[g] / s if s else 0.0) for g, s in measured.most_common()]
    lines.append(("all", measured.total(), expected.total(), expected.total() / measured.total()))
    print(table(("group", "measured s", "planned s", "planned / measured"), lines))
    print(f"small groups: {', '.join(sorted(small))}")
    return [Claim(f"planned seconds of {g}, to measured", ratio, at_least=0.5, at_most=2.0) for g, _, _, ratio in lines]


def step_seconds(home: Any) -> dict[Any, float]:
    """Seconds of the steps that made every asset, and of its checks, over all partitions. If something was made more
    than once, the longest time counts: later runs find finished parts and stored answers."""
    import dagster as dg

    longest: dict[tuple[Any, str, Any], float] = {}
    for run in home.get_runs():
        events = [entry.dagster_event for entry in home.all_logs(run.run_id) if entry.dagster_event]
        steps = {}
        for event in events:
            if event.event_type == dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED:
                steps.setdefault(event.step_key, event.asset_key)
            elif event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED:
                steps.setdefault(event.step_key, event.event_specific_data.asset_check_key.asset_key)
        for event in events:
            if event.event_type == dg.DagsterEventType.STEP_SUCCESS and event.step_key in steps:
                place = (steps[event.step_key], event.step_key, run.tags.get("dagster/partition"))
                longest[place] = max(longest.get(place, 0.0), event.event_specific_data.duration_ms / 1_000)
    totals: Counter = Counter()
    for (asset, _, _), seconds in longest.items():
        totals[asset] += seconds
    return dict(totals)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
