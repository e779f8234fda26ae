"""`nemotron serve`: an OpenAI-compatible server of one model of the lake, until Ctrl-C."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator

import click

from nemotron_assets.chat.serving import Limits, server_options
from nemotron_assets.commands.models import find_model, weights_of
from nemotron_assets.definitions import lake
from nemotron_assets.recipe import current_recipe
from resources.gpu import Gpu
from resources.server import Place, Server


def serve_command(model: str, place: Place, limits: Limits, context: int | None) -> None:
    """Serve until a signal comes, and print where."""
    with model_server(model, place, limits, context, click.echo) as server:
        click.echo(f"{server.names[0]}: {server.url}  (Ctrl-C ends it)")
        click.echo(f"names of the model: {', '.join(server.names)}")
        try:
            server.wait()
        except KeyboardInterrupt:
            click.echo("the server ends")


@contextlib.contextmanager
def model_server(
    model: str, place: Place, limits: Limits, context: int | None, log: Callable[[str], None]
) -> Iterator[Server]:
    """A server of a model of the lake that speaks our chat format; see `find_model` for `model`.

    `context` is in tokens, by default what the model was made for. Raises `ModelError`, `GpuError` and `ServerError`.
    """
    table, row = find_model(lake, model)
    folder = weights_of(lake, table, row)
    own = json.loads((folder / "config.json").read_text("utf-8")).get("max_position_embeddings")
    log(f"{table.full_name}: {row['name']} version {row['version']}, id {row['id']}")
    names = list(dict.fromkeys([table.full_name, row["name"], row["id"]]))
    options = server_options(limits)
    gpu = Gpu.from_recipe(current_recipe().llm)
    with gpu.serve(folder, names, options, at=place, context=context or own, log=log) as server:
        yield server
