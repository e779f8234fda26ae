"""Builds Nemotron-CC-Math: a corpus of web pages on mathematics that keeps every formula of the pages."""
