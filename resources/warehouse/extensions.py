"""DuckDB extensions from their Python packages: the file to load, and its installation for the `duckdb` program."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from nemotron_assets.table.quoting import literal

#: For slow queries DuckDB draws a progress bar on the standard output, where it would be mixed with results.
QUIET = "set enable_progress_bar = false"


class WarehouseError(RuntimeError):
    """A query, a name or the catalog cannot be used; the message says why and what to do."""


def extension_file(name: str) -> Path:
    """The file of a DuckDB extension inside its Python package. Raises `WarehouseError` if the package is missing."""
    import duckdb

    spec = importlib.util.find_spec(f"duckdb_extension_{name}")
    version = f"v{duckdb.__version__}"
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder, "extensions", version, f"{name}.duckdb_extension")
        if path.is_file():
            return path
    raise WarehouseError(
        f"DuckDB {duckdb.__version__} needs the package duckdb-extension-{name} of the same version: "
        f"pip install --no-deps duckdb-extension-{name}=={duckdb.__version__}"
    )


def install_extension(*names: str) -> list[str]:
    """Install extensions (default: delta) from their Python packages into the user's DuckDB folder, without a network.

    Returns the extensions that were not installed before. Extensions that are installed already for this version of
    DuckDB are left alone.
    """
    import duckdb

    installed = []
    with duckdb.connect(":memory:") as connection:
        connection.execute(QUIET)
        for name in names or ("delta",):
            query = "select installed from duckdb_extensions() where extension_name = ?"
            if not any(connection.execute(query, [name]).fetchone() or ()):
                connection.execute(f"install {literal(str(extension_file(name)))}")
                installed.append(name)
    return installed
