"""Training with our packing-aware scan is at least as fast as with transformers' reference scan, and leaks nothing.

A step is one forward and backward pass of the recipe's model over packed sequences of the recipe's length; the model
and the tokens are the same for all. The systems alternate in rounds and CPU seconds are counted, so that other work on
the machine does not decide. Ours also keeps documents apart (four per sequence), which the reference cannot do, so ours
is measured with one document too. The leak is the largest change of a document's logits when the document before it in
the sequence is replaced.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time

from benchmarks.harness import Claim, alternate, ratio, table, verdict


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="scan", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two rounds of two sequences")
    parser.add_argument("--recipe", default="laptop", help="the recipe whose model is measured (default: laptop)")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args(argv)
    rounds, sequences = (2, 2) if options.quick else (6, 4)

    import torch

    from nemotron_assets.model.nemotron_h import empty_model, fresh_weights, model_config
    from nemotron_assets.model.packing import Packing
    from nemotron_assets.recipe import load_recipe
    from nemotron_assets.training.losses import NextToken
    from nemotron_assets.training.stream import Batch

    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    recipe = load_recipe(options.recipe)
    length, vocabulary = recipe.blend.sequence_length, recipe.tokenizer.vocabulary
    config = model_config(recipe.model, vocabulary, length)
    model = NextToken(empty_model(config)).to_empty(device="cpu")
    student = model.student
    student.load_state_dict(dict(fresh_weights(dict(student.named_parameters()), config, 0)))
    tokens = torch.randint(0, vocabulary, (sequences, length))
    targets = tokens.roll(-1, 1)

    def reference() -> torch.Tensor:
        logits = student(tokens, use_cache=False).logits
        return torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="sum")

    def packed(documents: int) -> torch.Tensor:
        lengths = [[length // documents] * documents] * sequences
        return model(Batch(tokens, targets, Packing.of(lengths, length)))

    def rate(step) -> float:
        student.zero_grad()
        started = time.process_time()
        step().backward()
        return sequences * length / (time.process_time() - started)

    systems = {"reference": reference, "one": lambda: packed(1), "four": lambda: packed(4)}
    for step in systems.values():
        rate(step)  # warms up
    figures = alternate(rounds, **{name: lambda step=step: rate(step) for name, step in systems.items()})

    half = length // 2
    with torch.no_grad():
        other = tokens.clone()
        other[:, :half] = tokens[:, :half].flip(0).roll(7, 1)  # another neighbour for the second document
        leak = {
            "reference": _distance(student(t, use_cache=False).logits[:, half:] for t in (tokens, other)),
            "four": _distance(
                student(t, use_cache=False, packing=Packing.of([[half, half]] * sequences, length)).logits[:, half:]
                for t in (tokens, other)
            ),
        }
    names = {"reference": "transformers reference", "one": "ours, one document", "four": "ours, four documents"}
    print(f"{recipe.model.parameters(vocabulary):,} parameters, {sequences} x {length} tokens, CPU time")
    rows = [
        (names[n], statistics.median(f), f"{min(f):,.0f} to {max(f):,.0f}", leak.get(n, "")) for n, f in figures.items()
    ]
    print(table(("scan", "tokens/s", "of the rounds", "leak into the next document"), rows))
    return verdict(
        [
            Claim("rate with one document, to the reference", ratio(figures, "one", "reference"), at_least=1.0),
            Claim("rate with four documents, to the reference", ratio(figures, "four", "reference"), at_least=1.0),
            Claim("leak into the next document, ours", leak["four"], at_most=1e-5),
        ]
    )


def _distance(pair) -> float:
    """The largest difference of two tensors."""
    first, second = pair
    return (first - second).abs().max().item()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
