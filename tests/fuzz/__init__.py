"""Hostile input for everything that reads data from outside."""
