"""Starts numba without what no kernel here uses: SciPy's linear algebra, and packages that add their types to numba.

numba would load both with the first kernel, which takes half of the time that a small program needs to start. Only
kernels that multiply matrices, or take the arrays of such a package, would miss them; numba then says so when it
compiles the kernel.
"""

from __future__ import annotations

import sys

from numba.core import entrypoints

_BLAS = "scipy.linalg.cython_blas"


def start() -> None:
    """Load the parts of numba that kernels need. It does nothing if a kernel has run before."""
    entrypoints._already_initialized = True
    if _BLAS in sys.modules or "numba.np.arraymath" in sys.modules:
        return
    sys.modules[_BLAS] = None  # importing it raises ImportError, and numba goes on without it
    try:
        import numba.np.arraymath  # noqa: F401
    finally:
        del sys.modules[_BLAS]
