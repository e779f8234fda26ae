"""Release checks."""

CHECKS = []
