"""Makes the corpus from rendered pages: clean-up, scores, near-duplicates, contamination, subsets, dialogues."""
