"""Ablations share all that a change does not concern with the lake, and give a paired difference with its interval.

Runs `nemotron ablate` for every ablation of nemotron_assets/recipes/ablations on the lake of a finished `make run`:
text of CC-Math against trafilatura's text of the same pages, with and without translated questions, with and without
deduplication, with and without cut thoughts. All models of an ablation see the same number of tokens; every seed gives
a pair. At this size a difference may stay undecided, which the table says; the published numbers are in the report.

Promised is that an ablation changes no table of the lake except the generation ledger and evaluate.ablations, that its
branches hold no table that the change does not concern, and that every model saw the same number of tokens.
--only NAME runs one, --home names another home folder, --quick runs one ablation with few tokens.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from benchmarks.harness import Claim, machine, measure, table, verdict

#: What an ablation may add to: answers that it paid for, and its own results.
_ADDED = {"llm.generations", "evaluate.ablations"}
_QUICK = {"tokens": 16_384, "seeds": [1, 2]}


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="ablations", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--home", type=Path, metavar="DIR", help="home folder of the finished lake")
    parser.add_argument("--only", metavar="NAME", help="only this ablation")
    parser.add_argument("--quick", action="store_true", help="translated_qa with few tokens, in about a minute")
    options = parser.parse_args(argv)
    if options.home:
        os.environ["NEMOTRON_HOME"] = str(options.home.absolute())

    from nemotron_assets.definitions import lake
    from nemotron_assets.evaluate.tables import ABLATIONS
    from nemotron_assets.recipe.ablation import built_in
    from nemotron_assets.stages import all_tables

    if not lake.read(all_tables()["models.base"]).exists:
        print(f"the lake {lake.root} is not finished: run `make run` first, or name its home with --home")
        return 2
    names = [options.only] if options.only else ["translated_qa"] if options.quick else built_in()
    claims, shown, spent, failed = [], [], [], []
    for name in names:
        before = versions(lake)
        wanted = quick(name) if options.quick else name
        try:
            done = measure([sys.executable, "-m", "nemotron_assets.commands", "ablate", wanted], timeout=6 * 3600)
        except RuntimeError as error:  # the others are measured all the same
            print(f"{name}: {error}")
            failed.append(name)
            continue
        stored = f"{name}_quick" if options.quick else name
        rows = [row for row in lake.read(ABLATIONS).scan().collect().to_dicts() if row["ablation"] == stored]
        changed = {t for t, version in versions(lake).items() if before.get(t) != version} - _ADDED
        shown += [result(row) for row in rows]
        spent.append((name, done.cpu_seconds, *sizes(stored)))
        claims += [
            Claim(f"{name}: tables of the lake that changed {sorted(changed) or ''}".strip(), len(changed), at_most=0),
            Claim(f"{name}: numbers of tokens that models saw", len(tokens_seen(rows[0])), at_most=1),
            Claim(f"{name}: tables in branches that nothing concerns", len(foreign(rows[0])), at_most=0),
        ]
    print(machine())
    header = ("ablation", "task", "metric", "items", "without", "with", "difference", "95% interval", "with the change")
    print(table(header, shown))
    print()
    print(table(("ablation", "CPU s", "MB in branches", "MB of the lake"), spent))
    return verdict([*claims, Claim(f"ablations that gave no result {failed or ''}".strip(), len(failed), at_most=0)])


def quick(name: str) -> str:
    """The path of a small variant of an ablation."""
    import tempfile

    from nemotron_assets.recipe.ablation import load_ablation

    small = load_ablation(name).model_dump(mode="json") | _QUICK | {"name": f"{name}_quick"}
    path = Path(tempfile.mkdtemp()) / f"{name}.yaml"
    path.write_text(json.dumps(small))
    return str(path)


def versions(lake: Any) -> dict[str, int]:
    """The Delta version of every table of the lake."""
    from nemotron_assets.stages import all_tables

    return {name: lake.read(table).version for name, table in all_tables().items()}


def branches(ablation: str) -> list[Path]:
    from resources.home import home

    return sorted(path for path in (home() / "ablations" / ablation).iterdir() if path.is_dir())


def tokens_seen(row: dict[str, Any]) -> set[int]:
    """The numbers of tokens that the models of an ablation were trained on in their last training."""
    from nemotron_assets.stages import all_tables
    from resources.lakehouse import Lakehouse

    table_, found = all_tables()[row["model"]], set()
    for place in branches(row["ablation"]):
        own = json.loads((place / "lake" / "_branch.json").read_text())["own"]
        if row["model"] in own:
            models = Lakehouse(root=str(place / "lake")).read(table_).scan().collect()
            found |= set(models["tokens_seen"].to_list())
    return found


def foreign(row: dict[str, Any]) -> set[str]:
    """The tables in the branches of an ablation that are not their own."""
    found = set()
    for place in branches(row["ablation"]):
        own = set(json.loads((place / "lake" / "_branch.json").read_text())["own"])
        found |= {f"{log.parts[-3]}.{log.parts[-2]}" for log in (place / "lake").glob("*/*/_delta_log")} - own
    return found


def sizes(ablation: str) -> tuple[float, float]:
    """MB of Parquet files in the branches of an ablation, and in the lake."""
    from resources.home import lake_root

    def size(root: Path) -> float:
        return sum(file.stat().st_size for file in root.glob("*/*/**/*.parquet")) / 1e6

    return sum(size(place / "lake") for place in branches(ablation)), size(Path(lake_root()))


def result(row: dict[str, Any]) -> tuple[object, ...]:
    interval = f"{row['low']:+.4f} to {row['high']:+.4f}"
    scores = (f"{row[name]:.4f}" for name in ("unchanged", "changed"))
    difference = f"{row['difference']:+.4f}"
    return row["ablation"], row["task"], row["metric"], row["items"], *scores, difference, interval, row["verdict"]
