"""`nemotron report`: makes the report of the lake as it is now, and writes it to a file."""

from __future__ import annotations

from pathlib import Path

import click

from nemotron_assets.definitions import lake, recipe
from nemotron_assets.evaluate.report import writing
from nemotron_assets.instance import instance
from resources.home import report_file
from resources.warehouse import Warehouse


def report_command(file: Path | None) -> None:
    """Write the page to a file, by default to the place of the asset's newest page, and print where it is."""
    target = file or report_file()
    warehouse = Warehouse(root=lake.root, storage_options=lake.storage_options)
    with instance() as found:
        page = writing.made(lake, warehouse, found, recipe.name)
    writing.store(page.html, target)
    click.echo(f"{target}: {page.figures} figures")
    if page.missing:
        click.echo(f"not in this lake: {', '.join(page.missing)}; the page says which command makes each")
