"""Translates texts line by line into other languages: a library for every stage that has texts translated.

The modules in the order of the work: `lines` takes a text apart, `protect` replaces by placeholders what must not be
translated, `prompt` asks for one line, `judging` decides whether an answer is a translation, and `drafts` repeats this
until a text is accepted or out of attempts. `refusals` finds refusals in the target language.
"""
