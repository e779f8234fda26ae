"""Supervised stages: conversations as tokens, sequences of each stage, and the models that are trained on them."""

#: Raise this when the training of the stages changes. The models then become stale, and are trained again.
CODE = "2"
