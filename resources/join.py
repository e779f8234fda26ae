"""Has a machine join the trainings of the first one: `python -m resources.join NUMBER` (see `resources/torchrun.py`).

NUMBER is the number of this machine, from 1 on. The recipe is the one of the first machine (NEMOTRON_RECIPE), and so is
NEMOTRON_HOME.
"""

from __future__ import annotations

import sys

from nemotron_assets.recipe import current_recipe
from resources.gpu import Gpu
from resources.torchrun import Machines, follow


def main(arguments: list[str]) -> None:
    """Join trainings until Ctrl-C."""
    recipe = current_recipe()
    nodes = recipe.machines.nodes
    if nodes == 1:
        sys.exit("machines.nodes of the recipe is 1, so no training can be joined: set NEMOTRON_RECIPE")
    if len(arguments) != 1 or arguments[0] not in map(str, range(1, nodes)):
        sys.exit(f"python -m resources.join NUMBER: give the number of this machine, 1 to {nodes - 1}")
    gpu = Gpu.from_recipe(recipe.llm, recipe.machines)
    machines = Machines(nodes, recipe.machines.rendezvous, recipe.machines.join_s)
    try:
        follow(int(arguments[0]), gpu.processes or len(gpu.devices()), machines, lambda line: print(line, flush=True))
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main(sys.argv[1:])
