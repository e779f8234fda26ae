"""DuckDB over the lake: the catalog file with a view per table, and read-only connections to it.

The files: `warehouse` (the resource), `catalog` (a rebuild of the file), `lineage_views` (who was made from whom) and
`extensions` (DuckDB's Delta extension without a network).
"""

from nemotron_assets.table.quoting import identifier, literal
from resources.warehouse.catalog import Catalog, table_view
from resources.warehouse.extensions import WarehouseError, extension_file, install_extension
from resources.warehouse.warehouse import SQL_FOLDER, Warehouse

__all__ = [
    "SQL_FOLDER",
    "Catalog",
    "Warehouse",
    "WarehouseError",
    "extension_file",
    "identifier",
    "install_extension",
    "literal",
    "table_view",
]
