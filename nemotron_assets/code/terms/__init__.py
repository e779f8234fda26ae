"""Files and texts that speak of licences: what the rooms `licences` (decisions) and `sources` (attribution) share.

`paths` knows them by their names, `texts` finds the pieces of a file worth reading, `expressions` reads SPDX licence
expressions, `standard` has the whole texts of standard licences.
"""
