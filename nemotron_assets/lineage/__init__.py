"""Lineage: how rows point to the rows they were made from (`links`), and following these links (`walk`)."""
