"""Repositories and their files: reading them, finding duplicates, and the metadata to fetch the files again."""
