"""Pretraining: trains the base model of the recipe through the phases of the blend, and stores its metrics."""

#: Raise this when the training code changes. `models/base` then becomes stale, and its models are trained again.
CODE = "4"
