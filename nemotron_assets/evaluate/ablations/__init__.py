"""Ablations: one change of the recipe, models with and without it, and their difference item by item.

- `sides` says which tables the change makes again, and which values of the recipe each model has.
- `measuring` measures a model of one side, item by item.
- `comparing` compares the sides over all seeds.

`nemotron ablate` (commands/ablate.py) makes the models in branches of the lake and stores the result.
"""
