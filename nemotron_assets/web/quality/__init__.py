"""Which documents are good: heuristics, perplexity, and an ensemble of classifiers."""
