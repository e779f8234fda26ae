"""Fundamental reasoning: logical, reading and analytical questions whose answer most samples agree on."""
