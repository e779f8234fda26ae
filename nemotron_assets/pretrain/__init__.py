"""Pretraining: trains the base model of the recipe on the token shards of the blend, and stores its metrics."""

#: Raise this when the training code changes. `models/base` then becomes stale, and its models are trained again.
CODE = "2"
