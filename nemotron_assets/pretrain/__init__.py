"""Pretraining: the base model of the recipe, trained on the blend's token shards, and the metrics of its training."""

#: Raise it when the training itself changes: `models/base` becomes stale and its models are trained again.
CODE = "2"
