"""DuckDB over the lake: the catalog file with one view per table, and read-only connections to it.

The modules: `warehouse` (connections), `catalog` (writes the catalog file), `lineage_views` (the views of the schema
lineage), `reading` (keeps connections to reading), `facts` (sizes and versions of tables, from their Delta logs) and
`extensions` (DuckDB extensions from their Python packages, without a network).
"""

from resources.warehouse.catalog import Catalog, table_view
from resources.warehouse.extensions import WarehouseError, extension_file, install_extension
from resources.warehouse.warehouse import SQL_FOLDER, Warehouse

__all__ = [
    "SQL_FOLDER",
    "Catalog",
    "Warehouse",
    "WarehouseError",
    "extension_file",
    "install_extension",
    "table_view",
]
