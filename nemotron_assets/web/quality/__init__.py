"""The room that decides which documents are kept: an ensemble of classifiers, 28 heuristic rules, and perplexity."""

#: The version of the annotations' code. Raise it when the prompts or the choice of the sample change: the language
#: model then annotates the sample again.
ANNOTATION_CODE = "1"
