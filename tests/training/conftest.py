"""Fixtures of the tests of the training."""

from tests.align.conftest import policy_folder
from tests.small_model import one_thread, small, student

__all__ = ["one_thread", "policy_folder", "small", "student"]
