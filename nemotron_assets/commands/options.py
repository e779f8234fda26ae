"""Options that several subcommands share."""

from __future__ import annotations

import os
from typing import Any

import click

_BUDGET = (
    click.option(
        "--budget", type=click.IntRange(min=0), metavar="N", help="Most tokens of a thought; default: no limit."
    ),
    click.option(
        "--grace",
        type=click.IntRange(min=0),
        default=500,
        show_default=True,
        help="Tokens after the budget in which a thought may still end with its line.",
    ),
    click.option(
        "--answer-room",
        type=click.IntRange(min=0),
        default=256,
        show_default=True,
        help="Tokens of the context that a thought with a budget leaves for the answer.",
    ),
    click.option("--api-key-env", metavar="NAME", help="Environment variable with the API key of the server."),
)


def key_in(variable: str | None) -> str | None:
    """The API key in an environment variable."""
    if variable is not None and not os.environ.get(variable):
        raise click.UsageError(f"the environment variable {variable} is not set: it must hold the API key")
    return os.environ[variable] if variable else None


def with_budget(command: Any) -> Any:
    """Give a command the options of the thinking budget, and of the server's key."""
    for option in reversed(_BUDGET):
        command = option(command)
    return command
