"""Which documents are good: heuristics, perplexity, and an ensemble of classifiers."""

#: Raise it when the question to annotators or the sample is made differently: everything is judged again.
ANNOTATION_CODE = "1"
