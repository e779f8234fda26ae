"""Nemotron-CC-Math: mathematics from the web, with no equation lost between the page and the corpus."""
