"""Evaluation: scores every model on benchmarks and on held-out texts. The folder `items` has the benchmark items."""
