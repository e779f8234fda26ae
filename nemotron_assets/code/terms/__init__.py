"""Finds and reads licences: code that `code.licences` (decisions) and `code.sources` (attribution) both use.

`paths` knows them by their names, `texts` finds the pieces of a file worth reading, `expressions` reads SPDX licence
expressions, `standard` has the whole texts of standard licences.
"""
