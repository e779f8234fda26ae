"""Questions about code: snippets of the corpus, and problems with solutions that a language model writes about them."""
