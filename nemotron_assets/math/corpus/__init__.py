"""Makes the corpus from rendered pages: clean-up, scores, near-duplicates, contamination, subsets, dialogues."""

from nemotron_assets import scorers

#: Raise it when the rubric or the training texts of the scorer change, so that the embedded scorer is trained again.
SCORER_CODE = "1"


def scorer_code() -> str:
    """The code version of the embedded scorer. It grows with SCORER_CODE and with TRAINING_CODE of `scorers`."""
    return str(int(SCORER_CODE) + int(scorers.TRAINING_CODE) - 1)
