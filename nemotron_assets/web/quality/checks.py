"""Quality checks."""

CHECKS = []
