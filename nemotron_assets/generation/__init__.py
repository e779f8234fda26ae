"""Text written by language models: a library for every stage that asks a model.

`writing` asks a model for the rows of a table through the ledger, and `several` does so with several models. `asking`
sends jobs of several requests as one stream and counts the answers. `answers` turns what a model wrote into plain text,
`code_blocks` finds the code in it, and `code_grammar` makes a weak model write code that parses.
"""
