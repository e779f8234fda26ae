"""Scorers: what gives texts numbers. Trained here, or published checkpoints (a library, without assets).

`kinds` are the scorers themselves, `embeddings` what some of them read, `training` fits them, `published` fetches
checkpoints, `references` are the good texts they learn from, `running` applies one on every core or on the accelerator.
"""

#: The version of the training in this package: raise it when training changes, so that embedded scorers are trained
#: again. It is part of a trained scorer's identity and of the code version of the assets that train.
TRAINING_CODE = "1"


class ScorerError(RuntimeError):
    """A scorer that cannot be trained, found or used; the message says why and what to do."""
