"""Fixtures of the tests of the compression: PyTorch on one thread, and lakes of the trainings."""

from tests.pretrain.test_base import lake
from tests.pretrain.test_long_context import long_lake
from tests.small_model import one_thread, small

__all__ = ["lake", "long_lake", "one_thread", "small"]
