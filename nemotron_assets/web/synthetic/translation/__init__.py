"""Translates Diverse QA samples line by line into other languages, with nemotron_assets/generation/translation.

`samples` chooses the samples, `outcomes` makes rows and counts, `snapshot` does it for a whole snapshot, and `report`
shows and audits the result.
"""
