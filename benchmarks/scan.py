"""Training tokens per second with our packing-aware scan and with transformers' reference scan.

    python -m benchmarks.scan [--recipe laptop] [--sequences 4] [--rounds 5] [--threads 1]

One step is forward and backward of the recipe's model over `--sequences` sequences of its length, the same model and
tokens for both. Rounds alternate and CPU seconds are counted, so that other work on the machine does not decide. Ours
also keeps documents apart (four per sequence), which the reference cannot; a third column gives it one document.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch

from nemotron_assets.model.loop import NextToken
from nemotron_assets.model.nemotron_h import Packing, empty_model, fresh_weights, model_config, parameter_count
from nemotron_assets.recipe import load_recipe


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="laptop")
    parser.add_argument("--sequences", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    recipe = load_recipe(arguments.recipe)
    length, vocabulary, rows = recipe.blend.sequence_length, recipe.tokenizer.vocabulary, arguments.sequences
    config = model_config(recipe.model, vocabulary, length)
    model = NextToken(empty_model(config)).to_empty(device="cpu")
    student = model.student
    student.load_state_dict(dict(fresh_weights(dict(student.named_parameters()), config, 0)))
    tokens = torch.randint(0, vocabulary, (rows, length))
    targets = tokens.roll(-1, 1)

    def reference() -> torch.Tensor:
        logits = student(tokens, use_cache=False).logits
        return torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="sum")

    steps = {
        "transformers reference, documents leak": reference,
        "ours, one document": lambda: model(tokens, targets, Packing.of([[length]] * rows, length)),
        "ours, four documents": lambda: model(tokens, targets, Packing.of([[length // 4] * 4] * rows, length)),
    }
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for round_ in range(arguments.rounds + 1):
        for name, step in steps.items():
            student.zero_grad()
            start = time.process_time()
            step().backward()
            if round_:  # the first one warms up
                seconds[name].append(time.process_time() - start)
    print(f"{parameter_count(recipe.model, vocabulary):,} parameters, {rows} x {length} tokens, CPU time")
    base = statistics.median(next(iter(seconds.values())))
    for name, taken in seconds.items():
        median = statistics.median(taken)
        print(f"{name:40} {rows * length / median:10,.0f} tokens/s   {base / median:5.2f}x")


if __name__ == "__main__":
    main()
