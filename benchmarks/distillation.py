"""A compressed model is better than a model of its shape that is trained from scratch on the same tokens.

It reads models.compressed of a finished `make run` (recipe laptop), and trains a model of the same shape from random
weights: on the sequences of its distillations, in their order and with their numbers of steps, but with the loss of
pretraining instead of the divergence from a teacher, and at the learning rate of the pretraining. Both answer fresh
items of the procedural suite, and both predict held-out answers. Nothing is written into the lake. The claims:

 - the compressed model answers more items (paired, 95% interval above zero);
 - its loss on held-out answers is lower.

--home names the home folder of the lake; --quick trains on an eighth of the tokens and asks an eighth of the items, so
it shows that the benchmark runs, and the claims still hold.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks._procedural import fresh_items, right_answers
from benchmarks.harness import Claim, table, verdict

_PER_TASK, _FEW = 220, 8
#: Held-out rows of align.token_shards that the loss is measured on.
_ROWS = 512


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="distillation", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--home", type=Path, metavar="DIR", help="home folder of the finished lake")
    parser.add_argument("--quick", action="store_true", help="an eighth of the tokens and of the items")
    options = parser.parse_args(argv)
    if options.home:
        os.environ["NEMOTRON_HOME"] = str(options.home)

    from nemotron_assets.compress.distilling.tables import COMPRESSED
    from nemotron_assets.definitions import lake
    from nemotron_assets.models.registry import newest
    from nemotron_assets.recipe import current_recipe

    if not lake.read(COMPRESSED).exists:
        print(f"the lake {lake.root} has no compressed model: run `make run` first, or name its home with --home")
        return 2
    part, recipe = 8 if options.quick else 1, current_recipe()
    compressed = lake.get_weights(newest(lake.read(COMPRESSED))["uri"])
    asked = fresh_items(lake, recipe, _PER_TASK // part)
    with tempfile.TemporaryDirectory(prefix="nemotron-distillation-benchmark-") as scratch:
        fresh = from_scratch(lake, recipe, compressed, Path(scratch), part)
        models = {"compressed": compressed, "from scratch": fresh}
        right = {name: right_answers(folder, asked) for name, folder in models.items()}
        losses = {name: held_out_loss(lake, folder, _ROWS // part) for name, folder in models.items()}
    return verdict(claims(right, losses))


def from_scratch(lake: Any, recipe: Any, shape: Path, scratch: Path, part: int) -> Path:
    """Train random weights of the shape of a folder through all distillations of the aligned model, one after the
    other, on the `part`-th part of their tokens. Returns the folder of the weights."""
    from nemotron_assets.model.export import add_tokenizer
    from nemotron_assets.model.pruning import architecture, read_config
    from nemotron_assets.recipe.train import TrainingRun
    from nemotron_assets.training.distillation import Joined
    from nemotron_assets.training.job import Fresh, FromFolder, Job
    from nemotron_assets.training.loop import train
    from nemotron_assets.training.teaching_data import teaching_data
    from nemotron_assets.training.worker import LakeShards

    config, own = read_config(shape), recipe.compress.aligned
    special = {name: config[f"{name}_token_id"] for name in ("pad", "bos", "eos")}
    start: Any = Fresh(architecture(config), config["vocab_size"], special)
    for number, stage in enumerate((own.depth, *own.width.values(), own.recovery)):
        data = teaching_data(recipe, lake, stage.sequence_length, stage.sft, stage.sft_share)
        streams = data.config(lake)["streams"]
        shards = Joined({name: LakeShards(**s, folder=scratch / f"{number}-{name}") for name, s in streams.items()})
        run: TrainingRun = stage.training.model_copy(
            update={
                "tokens": max(stage.training.tokens // part, 64),
                "peak_lr": recipe.train.base.peak_lr * stage.training.peak_lr / own.depth.training.peak_lr,
            }
        )
        job = Job(start, run, stage.sequence_length, scratch / f"{number}", entries=tuple(data.entries()))
        done = train(job, shards, lambda rows: None)
        print(f"from scratch: {done.steps} steps of {stage.sequence_length} tokens, loss {done.final_loss:.3f}")
        start = FromFolder(done.weights)
    add_tokenizer(done.weights, shape)
    return done.weights


def held_out_loss(lake: Any, folder: Path, rows: int) -> float:
    """The loss in nats per token on answers of conversations that no stage has read."""
    import numpy as np
    import polars as pl

    from nemotron_assets.align.tuning.tables import TOKEN_SHARDS
    from nemotron_assets.rollouts.transformers_engine import load
    from nemotron_assets.training.losses import NextToken
    from nemotron_assets.training.stream import PackedSequence, as_batch, predictions

    found = lake.read(TOKEN_SHARDS).scan().filter(pl.col("held_out") & (pl.col("length") <= 512)).sort("id")
    found = found.head(rows).collect().sort("length")
    loss, targets, total = NextToken(load(folder).requires_grad_(False)), 0, 0.0
    for part in found.iter_slices(32):
        packed = [
            PackedSequence(np.array(row["tokens"], np.int32), (row["length"],), np.array(row["trained"]))
            for row in part.iter_rows(named=True)
        ]
        total += float(loss(as_batch(packed, part["length"].max())))
        targets += predictions(packed)
    return total / targets


def claims(right: dict[str, list[float]], losses: dict[str, float]) -> list[Claim]:
    from nemotron_assets.grading.paired import paired

    found = paired(right["from scratch"], right["compressed"])
    print()
    print(table(("model", "items", "right", "loss on held-out answers"), [
        (name, len(own), f"{sum(own) / len(own):.1%}", f"{losses[name]:.3f}") for name, own in right.items()
    ]))  # fmt: skip
    print(
        f"difference {found.difference:+.4f}, 95% interval {found.low:+.4f} to {found.high:+.4f}, {found.items} items"
    )
    return [
        Claim("right answers: lower end of the interval of the difference", found.low, at_least=1e-9),
        Claim(
            "loss on held-out answers, as a share of the other",
            losses["compressed"] / losses["from scratch"],
            at_most=1,
        ),
    ]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
