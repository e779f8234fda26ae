"""Estimates what a recipe costs before it runs: rows, tokens, bytes, requests to language models, hours and money.

Every figure is derived, asset by asset along the graph, from inputs that say where they come from: sizes and yields
(inputs.yaml), measured rates and assumed prices (benchmarks/rates.yaml), and values of the recipe. Each of them has a
range, and so has every result. What nobody knows is said ("not known: ..."), and carries on to everything made from it.
There is one file per stage with one estimator per asset.

- figures.py: a figure with its range and its inputs, and what is not known
- sources.py: reads the inputs and the rates
- plan.py: the registry of estimators, and the plan of a recipe
- writing.py: what asking a language model takes
- totals.py: derived totals beside the published ones
- changes.py: what a change of the recipe costs
"""
