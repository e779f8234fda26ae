"""A training step of the hybrid model is faster and smaller than with transformers, and than a Transformer at 8k.

A step is forward, loss, backward, clipping and AdamW on the same batch, for all systems in the same precision: BF16
autocast with float32 weights, as the published model was trained, or float32. On a CPU with BF16 instructions the
products of the FFN, which all systems share, then take less than half the time. Three systems alternate in rounds: our
packed path, NemotronHForCausalLM of transformers with the same weights, and a Qwen3-style Transformer with as many
parameters. CPU seconds are counted, because other work on the machine must not decide, and peak memory is that of
a process of its own for each system. The models have the published ratios (FFN 4 x hidden, inner width 2 x hidden, four
Mamba-2 layers per attention layer, chunks of 128) with Mamba-2 heads of 32 channels and a state of 64.

--long makes one step of the laptop recipe's model at 131,072 tokens, in float32, and judges its memory instead.
--device cuda prints tokens per second, MFU, and the speed and loss of FP8 against BF16 for models of the 1B and the 12B
layer shapes instead.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from statistics import median

from benchmarks.harness import Claim, alternate, measure, ratio, table, verdict

CONTEXT = 8192
LENGTHS = (512, 2048, 8192)
SYSTEMS = ("ours", "transformers", "Transformer")
HEADS = {"head_dim": 64, "mamba_head_dim": 32, "mamba_groups": 2, "mamba_state": 64, "chunk_size": 128}
SIZES = {
    "8M": (8192, HEADS | {
        "pattern": "M-M-M-M*-", "hidden_size": 256, "ffn_size": 1024, "attention_heads": 4, "kv_heads": 2,
        "mamba_heads": 16,
    }),
    "50M": (16384, HEADS | {
        "pattern": "M-M-M-M*-M-M-M-M*-M-", "hidden_size": 512, "ffn_size": 2048, "attention_heads": 8, "kv_heads": 2,
        "mamba_heads": 32,
    }),
}  # fmt: skip
#: At least this many times the rate of transformers, by length.
FASTER = {512: 1.5, 2048: 2.0, 8192: 2.0}
MFU = 0.45
LONG, LONG_GB = 131_072, 20.0


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="train", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="one round of the 8M model at 512 tokens; judges that only"
    )
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--lengths", nargs="+", type=int, choices=LENGTHS, default=list(LENGTHS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--precision", choices=("bf16", "fp32"), default="bf16")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--long", action="store_true", help=f"one step at {LONG:,} tokens")
    parser.add_argument("--child", nargs=3, metavar=("SYSTEM", "SIZE", "LENGTH"), help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.device == "cuda":
        from benchmarks._train_cuda import main as on_cuda

        return on_cuda(MFU)
    import torch

    torch.set_num_threads(options.threads)
    if options.child:
        name, size, length = options.child
        if size == "laptop":
            print(systems(size, int(length), [name], "fp32")[name]()[1])
            return 0
        systems(size, int(length), [name], options.precision)[name]()
        return 0
    if options.long:
        return long_step(options.threads)
    if options.quick:
        options.sizes, options.lengths, options.rounds = ["8M"], [512], 1
    rows, claims = [], []
    for size in options.sizes:
        for length in options.lengths:
            of_size, of_claims = compare(size, length, options)
            rows += of_size
            claims += of_claims
            print(table(COLUMNS, of_size), flush=True)
    if len(options.sizes) * len(options.lengths) > 1:
        print("\n" + table(COLUMNS, rows))
    print(f"load of the machine: {os.getloadavg()[0]:.1f}, {options.threads} thread(s)")
    return verdict(claims)


COLUMNS = (
    "model",
    "tokens",
    "precision",
    "system",
    "parameters",
    "tokens per CPU second",
    "to transformers",
    "peak memory, GB",
)


def compare(size: str, length: int, options: argparse.Namespace) -> tuple[list[tuple], list[Claim]]:
    """The rows of the table and the claims for one model and length."""
    memory = {}
    for name in SYSTEMS:
        command = [sys.executable, "-m", "benchmarks.train", "--threads", str(options.threads)]
        command += ["--precision", options.precision, "--child", name, size, str(length)]
        memory[name] = measure(command).peak_rss / 1e9
    steps = systems(size, length, SYSTEMS, options.precision)
    losses = {name: step()[1] for name, step in steps.items()}  # warms up
    difference = abs(losses["ours"] / losses["transformers"] - 1)
    figures = alternate(options.rounds, **{name: lambda step=step: step()[0] for name, step in steps.items()})
    rows = [
        (size, length, options.precision, name, f"{parameters(size, name):,}", median(figures[name]),
         f"{ratio(figures, name, 'transformers'):.2f}", f"{memory[name]:.2f}")
        for name in SYSTEMS
    ]  # fmt: skip
    at = f"{size} at {length} tokens"
    claims = [
        Claim(f"{at}: rate to transformers", ratio(figures, "ours", "transformers"), at_least=FASTER[length]),
        Claim(f"{at}: memory to transformers", memory["ours"] / memory["transformers"], at_most=1.0),
        Claim(
            f"{at}: difference of the first losses", difference, at_most=1e-4 if options.precision == "fp32" else 1e-3
        ),
    ]
    if length == 8192:
        claims.append(Claim(f"{at}: rate to the Transformer", ratio(figures, "ours", "Transformer"), at_least=1.0))
    return rows, claims


def long_step(threads: int) -> int:
    """One step of the laptop recipe's model at LONG tokens, in a process of its own."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.train",
        "--threads",
        str(threads),
        "--child",
        "ours",
        "laptop",
        str(LONG),
    ]
    step = measure(command, timeout=7200)
    gigabytes = step.peak_rss / 1e9
    loss = step.output.strip().splitlines()[-1]
    print(f"{LONG:,} tokens: loss {loss}, {step.cpu_seconds:.0f} CPU seconds, peak memory {gigabytes:.2f} GB")
    return verdict([Claim(f"peak memory of one step at {LONG:,} tokens", gigabytes, "GB", at_most=LONG_GB)])


def systems(size: str, length: int, names, precision: str) -> dict:
    """For each system a function that makes one step and returns (tokens per CPU second, loss per token)."""
    import torch

    from nemotron_assets.model.packing import Packing
    from nemotron_assets.training.losses import NextToken
    from nemotron_assets.training.stream import Batch

    vocabulary = recipe(size)[1]
    sequences = max(1, 2048 // length)
    tokens = torch.randint(0, vocabulary, (sequences, length), generator=torch.Generator().manual_seed(0))
    targets = tokens.roll(-1, 1)
    targets[:, -1] = -100
    batch = Batch(tokens, targets, Packing.of([[length]] * sequences, length))

    def step(model, loss_of):
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.0, fused=True)  # the weights stay equal

        def run():
            started = time.process_time()
            with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
                loss = loss_of(model)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            return tokens.numel() / (time.process_time() - started), loss.item()

        return run

    def library_loss(model):
        return model(tokens, labels=tokens, use_cache=False).loss

    predicted = (targets >= 0).sum()
    made = {}
    if "ours" in names:
        made["ours"] = step(NextToken(hybrid(size, attached=True)), lambda model: model(batch) / predicted)
    if "transformers" in names:
        made["transformers"] = step(hybrid(size, attached=False), library_loss)
    if "Transformer" in names:
        made["Transformer"] = step(transformer(size), library_loss)
    return made


def recipe(size: str):
    from nemotron_assets.recipe import load_recipe

    if size == "laptop":
        laptop = load_recipe("laptop")
        return laptop.model, laptop.tokenizer.vocabulary
    vocabulary, shape = SIZES[size]
    return load_recipe("nano2").model.model_copy(update=shape), vocabulary


def parameters(size: str, name: str) -> int:
    if name != "Transformer":
        model, vocabulary = recipe(size)
        return model.parameters(vocabulary)
    import torch

    with torch.device("meta"):
        return sum(p.numel() for p in transformer(size).parameters())


def hybrid(size: str, attached: bool):
    """NemotronHForCausalLM with the same fresh weights, with our forward functions or those of transformers."""
    import torch
    from transformers import NemotronHForCausalLM

    from nemotron_assets.model.nemotron_h import attach, empty_model, fresh_weights, model_config

    model_recipe, vocabulary = recipe(size)
    config = model_config(model_recipe, vocabulary, CONTEXT)
    config.time_step_min = empty_model(config).config.time_step_min  # no lower limit of time steps in either
    with torch.device("meta"):
        model = NemotronHForCausalLM(config)
    model.to_empty(device="cpu").load_state_dict(dict(fresh_weights(dict(model.named_parameters()), config, 0)))
    return attach(model) if attached else model


def transformer(size: str):
    """A Qwen3 as wide as the hybrid, with its vocabulary and number of FFNs; their width makes up the parameters."""
    from transformers import Qwen3Config, Qwen3ForCausalLM

    model, vocabulary = recipe(size)
    width, heads = model.hidden_size, model.hidden_size // 64
    layers = model.pattern.count("-")
    attention = 2 * width * 64 * (heads + heads // 2) + 2 * 64 + 2 * width
    rest = model.parameters(vocabulary) - 2 * vocabulary * width - width - layers * attention
    return Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=vocabulary, hidden_size=width, intermediate_size=round(rest / (3 * width * layers)),
            num_hidden_layers=layers, num_attention_heads=heads, num_key_value_heads=heads // 2, head_dim=64,
            max_position_embeddings=CONTEXT, tie_word_embeddings=False,
        )
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
