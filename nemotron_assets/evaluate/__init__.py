"""Evaluate: benchmark items as a table, and the scores of every model version on them and on held-out documents."""
