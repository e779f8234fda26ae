"""Scorers: models that give each text a number, such as its quality from 0 to 5 (a library, without assets).

`kinds` has the scorers, `embeddings` the vectors that some of them use, `training` trains them, `published` fetches
published checkpoints, `references` reads the good texts they learn from, `statistics` compares scores, and `running`
scores a table on all cores or on the accelerator.
"""

#: The version of the training code in this package. Raise it when training changes, so that scorers are trained again.
#: It is part of the identity of every scorer that is trained here, and of the code version of the assets that train.
TRAINING_CODE = "1"


class ScorerError(RuntimeError):
    """A scorer cannot be trained, found or used; the message says why and what to do."""
