"""Of nine merges of the reasoning model and the chat model, the one that is used is not worse than the worse of both.

It reads the two models of a finished `make run` (recipe laptop), merges them at the shares 0.1 to 0.9, as published,
and scores every merge and both models on the held-out prompts of align.prompts, with their verifiers. Nothing is
written into the lake: it is copied in part. The claims:

 - merging a model with itself gives the same bytes, at all nine shares;
 - on every suite, the 95% interval of the difference between the merge that the recipe's rule picks and the worse of
   the two models does not lie wholly below zero (paired bootstrap over prompts).

--home names the home folder of the lake, --quick scores fewer prompts.
"""

from __future__ import annotations

import argparse
import filecmp
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks._laptop_align import merge_table, worst_against_worse
from benchmarks.harness import Claim, table, verdict

ALPHAS = tuple(round(0.1 * number, 1) for number in range(1, 10))
#: Most prompts of a suite, and with --quick.
_MANY, _FEW = 128, 8


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="merge", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--home", type=Path, metavar="DIR", help="home folder of the finished lake")
    parser.add_argument("--quick", action="store_true", help=f"score at most {_FEW} prompts of a suite")
    options = parser.parse_args(argv)
    if options.home:
        os.environ["NEMOTRON_HOME"] = str(options.home)

    from nemotron_assets.align.merging.sweep import SIDES
    from nemotron_assets.definitions import lake

    if not all(lake.read(side).exists for side in SIDES):
        print(f"the lake {lake.root} has no models to merge: run `make run` first, or name its home with --home")
        return 2
    with tempfile.TemporaryDirectory(prefix="nemotron-merge-benchmark-") as scratch:
        claims = [same_bytes(lake, Path(scratch)), swept(lake, Path(scratch), options.quick)]
    return verdict(claims)


def same_bytes(lake: Any, scratch: Path) -> Claim:
    """Files of the first model that differ after it is merged with itself."""
    from nemotron_assets.align.merging.sweep import SIDES
    from nemotron_assets.model.merge import merge
    from nemotron_assets.models.registry import newest

    folder = lake.get_weights(newest(lake.read(SIDES[0]))["uri"])
    names, wrong, lines = sorted(path.name for path in folder.iterdir()), 0, []
    for alpha in ALPHAS:
        started = time.perf_counter()
        parameters = merge(folder, folder, alpha, scratch / f"same-{alpha}")
        lines.append((alpha, f"{parameters:,}", time.perf_counter() - started))
        wrong += len(filecmp.cmpfiles(folder, scratch / f"same-{alpha}", names, shallow=False)[0]) != len(names)
    print(table(("share, a model with itself", "parameters", "seconds"), lines))
    return Claim("merges of a model with itself that differ from it", wrong, at_most=0)


def swept(lake: Any, scratch: Path, quick: bool) -> Claim:
    """The sweep of the asset, with nine shares, in a lake that has the models and the prompts of the given one."""
    import polars as pl

    from nemotron_assets.align.conversations.tables import PROMPTS
    from nemotron_assets.align.merging.sweep import SIDES, Sweep
    from nemotron_assets.models.registry import newest
    from nemotron_assets.recipe import load_recipe
    from resources.gpu import Gpu

    recipe = load_recipe("laptop")
    own = recipe.align.merging.model_copy(update={"alphas": ALPHAS, "max_items": _FEW if quick else _MANY})
    recipe = recipe.model_copy(update={"align": recipe.align.model_copy(update={"merging": own})})
    other = type(lake)(root=str(scratch / "lake"), free_disk_mb=0)
    other.write(PROMPTS, lake.read(PROMPTS).scan().collect())
    sides = []
    for side in SIDES:
        model = newest(lake.read(side))
        uri, _ = other.put_weights(lake.get_weights(model["uri"]), side.name)
        sides.append(model | {"uri": uri})
        other.write(side, pl.DataFrame([sides[-1]], schema=side.empty().schema))
    scores = Sweep(recipe, other, Gpu(), "benchmark", print).scored(sides)
    print()
    print(merge_table(scores.sort("suite", "alpha")))
    return worst_against_worse(scores.filter("is_used"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
