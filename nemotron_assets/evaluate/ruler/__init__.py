"""Tasks of a chosen length in the manner of RULER: a text of the lake hides what is asked for, and the answer is known.

- `tasks` makes the items: the prompt, all right answers, and the documents whose text the prompt has.
- `answers` has a model answer them, and grades an answer by the share of the right answers in it.
"""
