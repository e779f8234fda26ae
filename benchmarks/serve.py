"""A hybrid model of 50M parameters writes 2.5 times as fast as a plain Transformer after a prompt of 8k tokens.

Both have random weights, the same vocabulary and width, and the same number of parameters to 3%; they run one after the
other in the same vLLM engine, each in a process of its own. Reading the prompt is timed apart from writing. The claims:

 - batch 1, after a prompt of 8,192 tokens: the hybrid writes at least 2.5 times as many tokens per second;
 - its advantage grows with the length of the prompt.

Ratios say something, tokens per second are those of one machine. `--device cuda` runs the shapes of Nemotron Nano 2 9B
and Qwen3-8B at 1k tokens in and 8k out, and 8k in and 16k out; --quick runs short prompts and claims nothing about 8k.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.harness import Claim, measure, table, verdict

LEAST = 2.5
#: Memory for the cache on a CPU, in GB.
CACHE_GB = 1.0
#: Layers as in Nemotron Nano 2, of which 8% are attention; the heads of Mamba-2 are twice as wide as the model.
SMALL = {
    "pattern": "M-M-M*-M-M-M-M*-M-M-M-M-", "hidden_size": 512, "ffn_size": 2048, "attention_heads": 8, "kv_heads": 2,
    "head_dim": 64, "mamba_heads": 16, "mamba_head_dim": 64, "mamba_groups": 2, "mamba_state": 128, "mamba_conv": 4,
    "chunk_size": 128, "norm_eps": 1e-5, "init_std": 0.0125,
}  # fmt: skip
VOCABULARY = 8_192
#: Nemotron Nano 2 9B: the pruned shape (report §4.2), 56 layers of which 4 are attention.
NANO_9B = {
    "pattern": "M-M-M-MM-M-M-M*-M-M-M*-M-M-M-M*-M-M-M-M*-M-MM-M-M-M-M-M-",
    "hidden_size": 4480, "ffn_size": 15680, "attention_heads": 40, "kv_heads": 8, "head_dim": 128, "mamba_heads": 128,
    "mamba_head_dim": 80, "mamba_groups": 8, "mamba_state": 128, "mamba_conv": 4, "chunk_size": 128, "norm_eps": 1e-5,
    "init_std": 0.0125,
}  # fmt: skip
NANO_VOCABULARY = 131_072


@dataclass(frozen=True)
class Plan:
    """What is measured: lengths (tokens in, tokens out), sizes of the batches, measurements of each."""

    lengths: tuple[tuple[int, int], ...]
    batches: tuple[int, ...]
    runs: int


CPU = Plan(((512, 64), (2_048, 64), (8_192, 64)), (1,), 3)
QUICK = Plan(((128, 16), (1_024, 16)), (1,), 2)
CUDA = Plan(((1_024, 8_192), (8_192, 16_384)), (1, 8, 32, 64, 128, 256), 3)


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="serve", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--quick", action="store_true", help="short prompts")
    parser.add_argument("--runs", type=int, metavar="N", help="measurements of every batch")
    parser.add_argument("--child", metavar="JSON", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.child:
        return child(json.loads(options.child))
    plan = QUICK if options.quick else CUDA if options.device == "cuda" else CPU
    plan = Plan(plan.lengths, plan.batches, options.runs or plan.runs)
    with tempfile.TemporaryDirectory(prefix="nemotron-serve-") as scratch:
        sizes = write_shapes(Path(scratch), options.device, max(map(sum, plan.lengths)))
        found = {name: measured(Path(scratch) / name, plan) for name in sizes}
    rows = compared(found["hybrid"], found["transformer"])
    for name, size in sizes.items():
        print(f"{name}: {size / 1e6:,.1f}M parameters")
    print()
    print(table(("in", "out", "batch", "decode ratio", "of the runs", "prefill ratio", "tok/s", "peer tok/s"), [
        (r["input_tokens"], r["output_tokens"], r["batch"], f"{r['decode_ratio']:.2f}",
         f"{r['decode_ratio_low']:.2f} to {r['decode_ratio_high']:.2f}", f"{r['prefill_ratio']:.2f}",
         f"{r['decode_rate']:.1f}", f"{r['peer_decode_rate']:.1f}")
        for r in rows
    ]))  # fmt: skip
    return verdict(claims(rows, sizes, long=plan.lengths[-1][0] >= 8_192))


def claims(rows: list[dict[str, Any]], sizes: dict[str, int], long: bool) -> list[Claim]:
    """What the measurements must show."""
    alone = sorted((row for row in rows if row["batch"] == 1), key=lambda row: row["input_tokens"])
    grows = alone[-1]["decode_ratio"] / alone[0]["decode_ratio"]
    smallest = min(sizes.values()) / 1e6
    found = [
        Claim("ratio after the longest prompt / ratio after the shortest", grows, at_least=1.0),
        Claim("parameters of the smaller model", smallest, "million", at_least=50.0),
    ]
    if long:
        longest = alone[-1]["decode_ratio"]
        found.append(Claim("decode tokens/s, hybrid / Transformer, batch 1, after 8k", longest, at_least=LEAST))
    return found


def measured(folder: Path, plan: Plan) -> list[dict[str, Any]]:
    """The timings of the model whose configuration is in a folder, measured in a process of its own."""
    asked = json.dumps({"folder": str(folder), **asdict(plan)})
    said = measure([sys.executable, "-m", "benchmarks.harness", "serve", "--child", asked]).output
    return json.loads(next(line for line in reversed(said.splitlines()) if line.startswith("[")))


def child(asked: dict[str, Any]) -> int:
    """Time the batches of one model, and print them as JSON."""
    from transformers import AutoConfig

    from nemotron_assets.evaluate.throughput.measuring import timings
    from nemotron_assets.recipe import current_recipe
    from nemotron_assets.recipe.evaluate_throughput import Throughput
    from resources.gpu import Gpu

    recipe = Throughput(lengths=asked["lengths"], batches=asked["batches"], runs=asked["runs"])
    gpu = Gpu.from_recipe(current_recipe().llm).model_copy(update={"dtype": "bfloat16", "kv_cache_gb": CACHE_GB})
    folder = Path(asked["folder"])
    with gpu.lock():
        engine = gpu.timed_engine(folder, folder.name, recipe.context, max(recipe.batches))
        found = timings(engine, AutoConfig.from_pretrained(folder).vocab_size, recipe)
    print(json.dumps([[asdict(batch), [asdict(one) for one in runs]] for batch, runs in found.items()]))
    return 0


def compared(ours: list[Any], theirs: list[Any]) -> list[dict[str, Any]]:
    """The ratios of the batches that fit the cache of both."""
    from nemotron_assets.evaluate.throughput.measuring import Batch, row
    from resources.engine_timing import Timing

    def read(found: list[Any]) -> dict[Batch, list[Timing]]:
        return {Batch(**batch): [Timing(**one) for one in runs] for batch, runs in found}

    hybrid, transformer = read(ours), read(theirs)
    return [row(batch, hybrid[batch], transformer[batch]) for batch in sorted(hybrid) if batch in transformer]


def write_shapes(folder: Path, device: str, context: int) -> dict[str, int]:
    """Write the configurations of both models into `folder`; {name: parameters}."""
    from nemotron_assets.model.nemotron_h import model_config
    from nemotron_assets.model.peer import QWEN3_8B, parameters, peer, transformer, write
    from nemotron_assets.recipe.model import Model

    if device == "cuda":
        configs = {
            "hybrid": model_config(Model(**NANO_9B), NANO_VOCABULARY, context),
            "transformer": transformer(context, **QWEN3_8B),
        }
    else:
        hybrid = model_config(Model(**SMALL), VOCABULARY, context)
        configs = {"hybrid": hybrid, "transformer": peer(hybrid, context)}
    for name, config in configs.items():
        write(config, folder / name)
    return {name: parameters(config) for name, config in configs.items()}
