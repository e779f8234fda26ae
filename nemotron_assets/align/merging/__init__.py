"""Merges the reasoning model with the chat model, at several shares, and keeps the best by its scores.

- `suites` lets a model answer held-out prompts and scores the answers.
- `sweep` merges, scores, compares with the parents and picks; `statistics` has the paired interval.
"""

#: Raised when the code of the merge or of the scores changes.
CODE = "3"
