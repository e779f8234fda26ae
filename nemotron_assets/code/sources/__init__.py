"""Repositories and their files: which there are, what is in them, which files are copies, how to fetch them again."""
