"""Evaluate: the scores of every model on benchmarks and on held-out texts. The benchmark items are in the room `items`."""
