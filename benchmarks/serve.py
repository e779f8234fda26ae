"""A hybrid model of 50M parameters writes 2.5 times as fast as a plain Transformer after a prompt of 8k tokens.

Both have random weights, the same vocabulary and width, and the same number of parameters to 3%. Each runs in a vLLM
engine of its own with the same settings, in a process of its own. On a CPU both engines are open and take turns, so
that a slow moment of the machine meets both; on a GPU they run one after the other. Reading the prompt is timed apart
from writing. The claims:

 - batch 1, after a prompt of 8,192 tokens: the hybrid writes at least 2.5 times as many tokens per second;
 - its advantage grows with the length of the prompt.

Ratios say something, tokens per second are those of one machine. The ratio of the CPU seconds of the processes stands
beside the ratio by the clock: where they differ, other processes ran. `--device cuda` runs the shapes of Nemotron
Nano 2 9B and Qwen3-8B at 1k tokens in and 8k out, and 8k in and 16k out; --quick runs short prompts and claims nothing
about 8k.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.harness import FOLDER, Claim, alternate, table, verdict

if TYPE_CHECKING:
    from nemotron_assets.evaluate.throughput.measuring import Batch
    from resources.engine_timing import Timing

LEAST = 2.5
_LONG = 8_192
#: How a line with a timing begins: engines print other lines too.
_SAID = "timing: "
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
    """What is measured: lengths (tokens in, tokens out), sizes of the batches, measurements of each; and the threads of
    an engine on a CPU (None: all cores)."""

    lengths: tuple[tuple[int, int], ...]
    batches: tuple[int, ...]
    runs: int
    threads: int | None = None


CPU = Plan(((512, 64), (2_048, 64), (8_192, 64), (16_384, 64)), (1,), 3)
QUICK = Plan(((128, 16), (1_024, 16)), (1,), 2)
CUDA = Plan(((1_024, 8_192), (8_192, 16_384)), (1, 8, 32, 64, 128, 256), 3)


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="serve", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--quick", action="store_true", help="short prompts")
    parser.add_argument("--runs", type=int, metavar="N", help="measurements of every batch")
    parser.add_argument("--threads", type=int, metavar="N", help="threads of an engine on a CPU; all cores without it")
    parser.add_argument("--child", metavar="JSON", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.child:
        return child(json.loads(options.child))
    plan = QUICK if options.quick else CUDA if options.device == "cuda" else CPU
    plan = Plan(plan.lengths, plan.batches, options.runs or plan.runs, options.threads)
    with tempfile.TemporaryDirectory(prefix="nemotron-serve-") as scratch:
        sizes = write_shapes(Path(scratch), options.device, max(map(sum, plan.lengths)))
        with gpu(plan).lock():
            found = measured([Path(scratch) / name for name in sizes], plan, together=options.device == "cpu")
    rows = compared(found["hybrid"], found["transformer"])
    for name, size in sizes.items():
        print(f"{name}: {size / 1e6:,.1f}M parameters")
    print()
    print(table(("in", "out", "batch", "decode ratio", "of the runs", "by CPU time", "prefill ratio", "by CPU time",
                 "tok/s", "peer tok/s"), [
        (r["input_tokens"], r["output_tokens"], r["batch"], f"{r['decode_ratio']:.2f}",
         f"{r['decode_ratio_low']:.2f} to {r['decode_ratio_high']:.2f}", f"{r['decode_cpu_ratio']:.2f}",
         f"{r['prefill_ratio']:.2f}", f"{r['prefill_cpu_ratio']:.2f}", f"{r['decode_rate']:.1f}",
         f"{r['peer_decode_rate']:.1f}")
        for r in rows
    ]))  # fmt: skip
    return verdict(claims(rows, sizes))


def claims(rows: list[dict[str, Any]], sizes: dict[str, int]) -> list[Claim]:
    """What the measurements must show."""
    alone = sorted((row for row in rows if row["batch"] == 1), key=lambda row: row["input_tokens"])
    grows = alone[-1]["decode_ratio"] / alone[0]["decode_ratio"]
    smallest = min(sizes.values()) / 1e6
    found = [
        Claim("ratio after the longest prompt / ratio after the shortest", grows, at_least=1.0),
        Claim("parameters of the smaller model", smallest, "million", at_least=50.0),
    ]
    after = (row["decode_ratio"] for row in alone if row["input_tokens"] == _LONG)
    what = "decode tokens/s, hybrid / Transformer, batch 1, after 8k"
    return [*found, *(Claim(what, ratio, at_least=LEAST) for ratio in after)]


def measured(folders: Sequence[Path], plan: Plan, together: bool) -> dict[str, dict[Batch, list[Timing]]]:
    """The timings of the batches that fit the cache, of the models whose configurations are in the folders. `together`:
    the models take turns."""
    from nemotron_assets.evaluate.throughput.measuring import batches

    found: dict[str, dict[Batch, list[Timing]]] = {folder.name: {} for folder in folders}
    for open_ in [folders] if together else [[folder] for folder in folders]:
        with contextlib.ExitStack() as stack:
            engines = {folder.name: stack.enter_context(serving(folder, plan)) for folder in open_}
            for batch in batches(recipe_of(plan)):
                runs = alternate(plan.runs, **{name: partial(time, batch) for name, time in engines.items()})
                for name, own in runs.items():
                    if all(run.together for run in own):
                        found[name][batch] = own
    return found


@contextlib.contextmanager
def serving(folder: Path, plan: Plan) -> Iterator[Callable[[Batch], Timing]]:
    """A process that runs the model of a folder; what is given times one batch there."""
    from resources.engine_timing import Timing

    asked = json.dumps({"folder": str(folder), **asdict(plan)})
    command = [sys.executable, "-m", "benchmarks.harness", "serve", "--child", asked]
    process = subprocess.Popen(
        command, cwd=FOLDER.parent, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )

    def time(batch: Batch) -> Timing:
        process.stdin.write(json.dumps(asdict(batch)) + "\n")
        process.stdin.flush()
        said = []
        for line in process.stdout:
            if line.startswith(_SAID):
                return Timing(**json.loads(line.removeprefix(_SAID)))
            said.append(line)
        raise RuntimeError(f"the engine of {folder.name} ended with {process.wait()}:\n{''.join(said[-40:])}")

    try:
        yield time
    finally:
        process.stdin.close()
        process.stdout.read()
        process.wait()


def child(asked: dict[str, Any]) -> int:
    """Time the batches that stand in the lines of the standard input, and print the timings as JSON."""
    import random

    from transformers import AutoConfig

    from nemotron_assets.evaluate.throughput.measuring import Batch

    folder, plan = Path(asked.pop("folder")), Plan(**asked)
    recipe = recipe_of(plan)
    engine = gpu(plan).timed_engine(folder, folder.name, recipe.context, max(recipe.batches))
    vocabulary, numbers = AutoConfig.from_pretrained(folder).vocab_size, random.Random(0)

    def time(batch: Batch) -> Timing:
        prompts = [numbers.choices(range(vocabulary), k=batch.input_tokens) for _ in range(batch.size)]
        return engine.time(prompts, batch.output_tokens)

    time(Batch(recipe.warm_up, 2, 1))
    try:
        for line in sys.stdin:
            print(f"{_SAID}{json.dumps(asdict(time(Batch(**json.loads(line)))))}", flush=True)
    finally:
        engine.close()
    return 0


def gpu(plan: Plan) -> Any:
    """The device, as the recipe of this process names it, with the precision, cache and threads of this benchmark."""
    from nemotron_assets.recipe import current_recipe
    from resources.gpu import Gpu

    own = {"dtype": "bfloat16", "kv_cache_gb": CACHE_GB, "cpu_threads": plan.threads}
    return Gpu.from_recipe(current_recipe().llm).model_copy(update=own)


def recipe_of(plan: Plan) -> Any:
    from nemotron_assets.recipe.evaluate_throughput import Throughput

    return Throughput(lengths=plan.lengths, batches=plan.batches, runs=plan.runs)


def compared(ours: dict[Batch, list[Timing]], theirs: dict[Batch, list[Timing]]) -> list[dict[str, Any]]:
    """The ratios of the batches that fit the cache of both, by the clock and by CPU time."""
    from nemotron_assets.evaluate.throughput.measuring import row

    def cpu(batch: Batch, name: str) -> float:
        own, other = (median(getattr(run, name) for run in side[batch]) for side in (ours, theirs))
        return other / own

    return [
        row(batch, ours[batch], theirs[batch])
        | {"decode_cpu_ratio": cpu(batch, "decode_cpu_s"), "prefill_cpu_ratio": cpu(batch, "prefill_cpu_s")}
        for batch in sorted(ours)
        if batch in theirs
    ]


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
