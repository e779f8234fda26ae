"""The right to be forgotten: what `nemotron forget` removes from the lake, and what keeps it from coming back.

`targets` says what a person can name, `tombstones` refuses it at ingestion, `tables` declares what is remembered of a
removal: hashes and ids, never a text or an address.
"""
