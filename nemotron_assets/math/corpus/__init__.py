"""Makes the corpus from rendered pages: clean-up, scores, near-duplicates, contamination, subsets, dialogues."""

#: Raise it when the rubric or the training of the scorer changes: `models/math_scorers` becomes stale and the embedded
#: scorer is trained again. (A change of nemotron_assets/scorers has a version of its own there; raise both.)
SCORER_CODE = "1"
