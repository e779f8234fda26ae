"""Questions about code: snippets of the corpus, and the problems and solutions a model writes about them."""
