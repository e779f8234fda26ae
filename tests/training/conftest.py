"""Fixtures of the tests of the training."""

from tests.small_model import one_thread, small, student

__all__ = ["one_thread", "small", "student"]
