"""Makes the corpus from rendered pages: clean-up, scores, near-duplicates, contamination, subsets, dialogues."""

#: Raise it when the rubric or the training of the scorer changes: `models/math_scorers` becomes stale and the embedded
#: scorer is trained again. If the training in nemotron_assets/scorers changes, raise TRAINING_CODE there as well.
SCORER_CODE = "1"
