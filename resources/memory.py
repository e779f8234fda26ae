"""Memory that was freed goes back to the operating system."""

from __future__ import annotations

import ctypes


def give_back() -> None:
    """Return freed memory. The allocators of C and of Arrow keep it for later; after a step with large arrays, what is
    kept between smaller ones adds to the peak of the next step."""
    import pyarrow as pa

    pa.default_memory_pool().release_unused()
    ctypes.CDLL(None).malloc_trim(0)
