"""The room of texts that a language model writes about web documents: rephrasings, questions and answers, translations.

Rephrasings and questions are in this package, translations in the package `translation`.
"""
