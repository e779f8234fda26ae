"""Pretraining: trains the base model through the phases of the blend, and extends it to long context."""

#: Raise this when the training code changes. `models/base` then becomes stale, and its models are trained again.
CODE = "5"
#: The same for `models/long_context`, which is also made again after every new base model.
LONG_CONTEXT_CODE = "2"
