"""Translates Diverse QA samples line by line into other languages.

The modules in the order of the work: `lines` takes a sample apart, `protect` replaces by placeholders what must not be
translated, `prompt` asks for one line, `judging` decides whether an answer is a translation, `drafts` repeats this
until a sample is accepted or out of attempts, `outcomes` makes rows and counts, `snapshot` does it for a whole
snapshot, and `report` shows and audits the result.
"""
