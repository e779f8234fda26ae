"""From rendered pages to the corpus: clean-up, scores, near-duplicates, contamination, subsets, dialogues."""
