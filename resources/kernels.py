"""Kernels that numba compiles once per machine, in processes that start fast.

numba prepares its compiler before it looks for a function in its cache on the disk: it imports and registers all that
it can compile, SciPy's linear algebra, and the packages that add their types to it. That takes longer than all the rest
of a small program, and a function from the cache needs none of it. So a kernel prepares the compiler only if it is not
in the cache, and then without linear algebra and other packages. A kernel that multiplies matrices, or takes the arrays
of such a package, would miss them; numba then says so when it compiles the kernel.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from typing import Any

from llvmlite import binding
from numba import njit
from numba.core import entrypoints
from numba.core.caching import FunctionCache
from numba.core.runtime import _nrt_python as runtime

_BLAS = "scipy.linalg.cython_blas"

entrypoints._already_initialized = True  # the packages that add their types to numba count as loaded


def kernel(function: Callable[..., Any]) -> Any:
    """The function as machine code, which releases the GIL. It is compiled for the types of its arguments at its first
    call, and kept on the disk until its file changes."""
    compiled = njit(nogil=True)(function)
    compiled._cache = _Cache(function)
    return compiled


class _Cache(FunctionCache):
    """numba's cache of one function, which prepares the compiler only for a function that it does not hold."""

    def load_overload(self, signature: Any, context: Any) -> Any:
        _add_runtime()
        found = self._load_overload(signature, context)
        if found is None:
            _prepare_compiler()
        return found


@cache
def _add_runtime() -> None:
    """Let functions from the cache allocate memory with numba's runtime. The compiler adds the same symbols."""
    for name, address in runtime.c_helpers.items():
        binding.add_symbol(name if name.startswith("_") else f"NRT_{name}", address)


@cache
def _prepare_compiler() -> None:
    """Load what the compiler needs, apart from SciPy's linear algebra."""
    if _BLAS not in sys.modules and "numba.np.arraymath" not in sys.modules:
        sys.modules[_BLAS] = None  # importing it raises ImportError, and numba goes on without it
        try:
            import numba.np.arraymath  # noqa: F401
        finally:
            del sys.modules[_BLAS]
