"""A process that runs commands of `nemotron` and asks a language model, with the recipe and environment of a test.

Arguments: one command per argument, such as "run snapshots/catalog". The command "ask TEXT" asks the recipe's model.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from nemotron_assets.commands.cli import cli


def ask(text: str) -> None:
    """Ask the recipe's model through the ledger of the lake, and print what came of it."""
    from nemotron_assets.definitions import lake, recipe
    from resources.generations import Ledger, Request, Sampling
    from resources.gpu import Gpu

    request = Request("test", (("user", text),), Sampling(0.5, 0.9, 8))
    engine = Gpu.from_recipe(recipe.llm).engine(Path("no tokenizer"), "canned")
    try:
        print([completion.text for completion in Ledger(lake).generate(engine, [request])])
    except Exception as error:
        print(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    for command in sys.argv[1:]:
        name, *arguments = shlex.split(command)
        try:
            ask(*arguments) if name == "ask" else cli.main([name, *arguments], standalone_mode=False)
        except SystemExit as end:
            print(f"{name} ended with {end.code}")
