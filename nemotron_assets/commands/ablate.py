"""`nemotron ablate`: one change of the recipe, models with and without it, and their difference item by item.

The models are made in branches of the lake, below `ablations/` in the home. A branch has only the tables that the
change or the seed concerns, and reads all others from the lake: nothing is copied, and no answer of a language model
is paid for twice, because all branches share the lake's generation ledger. Ablations with equal models without the
change share them: the branches lie in `ablations/_steps`, and the folder of an ablation has links to its own.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Container, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import yaml
from filelock import FileLock, Timeout

from nemotron_assets.align.conversations.tables import SUITE_ITEMS
from nemotron_assets.commands.console import print_table
from nemotron_assets.commands.plan import asset_nodes, code_version_of, written_beside
from nemotron_assets.commands.run import silence
from nemotron_assets.definitions import lake, recipe
from nemotron_assets.evaluate.ablations.comparing import ablation_rows
from nemotron_assets.evaluate.ablations.measuring import Measured, Measures
from nemotron_assets.evaluate.ablations.sides import Side, Step, sides
from nemotron_assets.evaluate.inputs import HELD_OUT
from nemotron_assets.evaluate.tables import ABLATIONS
from nemotron_assets.instance import PROJECT, instance
from nemotron_assets.models.registry import newest_of_each_name
from nemotron_assets.planning.changes import Node, made_again
from nemotron_assets.recipe import Recipe
from nemotron_assets.recipe.ablation import Ablation, load_ablation
from nemotron_assets.stages import all_tables
from nemotron_assets.table.ids import content_hash
from nemotron_assets.table.schema import Table
from resources.files import replaced
from resources.generations import Ledger
from resources.gpu import Gpu
from resources.home import home
from resources.lakehouse import Lakehouse
from resources.lakehouse.branch import make_branch
from resources.processes import ending

#: Tables that every branch writes itself, beside those of its assets.
_OWN = ("quarantine.rows", "models.training_metrics", "models.training_events")


#: The folder of all branches, by what they are made from; a file in a branch that is complete.
_STEPS, _DONE = "_steps", "done"


class AblationError(RuntimeError):
    """A model of an ablation could not be made, or the sides cannot be compared."""


def ablate_command(name_or_path: str, jobs: int | None) -> None:
    """Make the models of an ablation, measure them, and store and print the result."""
    silence()
    lock = FileLock(home() / "ablations.lock")
    try:
        # Ablations share branches: two commands would train in the same one.
        with lock.acquire(timeout=0):
            _ablate(name_or_path, jobs)
    except Timeout:
        raise AblationError(
            "another `nemotron ablate` runs in this home: repeat the command when it has ended"
        ) from None


def _ablate(name_or_path: str, jobs: int | None) -> None:
    ablation, graph = load_ablation(name_or_path), asset_nodes()
    both = sides(ablation, recipe, graph)
    folder = home() / "ablations" / ablation.name
    inputs = _inputs(both, ablation, graph)
    states: dict[str, str] = {}
    for step in (side.data for side in both if side.data):
        states[step.name] = _make(step, folder, graph, "", jobs)
    _check_that_inputs_differ(both, ablation, folder, graph)
    for step in (step for side in both for step in side.models.values()):
        _make(step, folder, graph, states.get(step.after, ""), jobs)
    _keep_only(folder, {step.name for side in both for step in side.steps()})
    _check_that_models_differ(both, ablation, folder)
    measured = [_measure(side, ablation, folder) for side in both]
    if _inputs(both, ablation, graph) != inputs:
        raise AblationError("a table of the lake changed while the ablation ran: run it again when the lake is at rest")
    models = [row["id"] for side in both for row in _models(side, ablation, folder).values()]
    again = sorted({asset for step in both[1].steps() for asset in step.assets})
    made = {"models": models, "made_again": again, "input_versions": inputs, "run_id": "", "at": datetime.now(UTC)}
    rows = ablation_rows(ablation, *measured, made)
    import polars as pl

    lake.replace(ABLATIONS, pl.DataFrame(rows, schema=ABLATIONS.empty().schema), {"ablation": ablation.name})
    _print(ablation, rows)


def _inputs(both: tuple[Side, Side], ablation: Ablation, graph: dict[str, Any]) -> list[str]:
    """The versions of the lake's tables that the assets of both sides, and the measures, read."""
    assets = {asset for side in both for step in side.steps() for asset in step.assets}
    names = {name for asset in assets for name in graph[asset].made_from} - assets
    return _versions(names | {table.full_name for table in (*HELD_OUT.values(), SUITE_ITEMS)})


def _versions(names: set[str]) -> list[str]:
    """The versions of tables of the lake that have these names."""
    declared = all_tables()
    return sorted(lake.read(declared[name]).input_version for name in names if name in declared)


def _make(step: Step, folder: Path, graph: Mapping[str, Node], before: str, jobs: int | None) -> str:
    """Make the assets of a step in its branch, and link the branch in the folder of the ablation. Returns the state of
    the branch, a hash of everything that they are made from; `before` is the state of the branch that it reads from. A
    finished branch with this state is used as it is, an unfinished one goes on."""
    read = _versions(_read(step, graph))
    made_from = [step.recipe.hash(), *step.assets, *map(code_version_of, step.assets), *read, before]
    state = content_hash("\x1f".join(made_from))
    place = folder.parent / _STEPS / state
    place.mkdir(parents=True, exist_ok=True)
    folder.mkdir(exist_ok=True)
    if (folder / step.name).is_dir() and not (folder / step.name).is_symlink():
        shutil.rmtree(folder / step.name)  # of a version that had no links
    with replaced(folder / step.name) as link:
        link.symlink_to(Path("..") / _STEPS / state, target_is_directory=True)
    if (place / _DONE).exists():
        click.echo(f"{step.name}: made before")
        return state
    _run(step, place, folder, jobs)
    (place / _DONE).touch()
    return state


def _read(step: Step, graph: Mapping[str, Node]) -> set[str]:
    """The tables that the assets of a step read and do not make."""
    return {name for asset in step.assets for name in graph[asset].made_from} - set(step.assets)


def _content(of: Lakehouse, table: Table) -> str:
    """What a table of a lake holds, as a hash; with the place of the table where its rows have no hash."""
    found = of.read(table).content()
    return f"{of.path(table)} {found}" if found.startswith("version:") else found


def _check_that_inputs_differ(
    both: tuple[Side, Side], ablation: Ablation, folder: Path, graph: Mapping[str, Node]
) -> None:
    """Raise `AblationError` before any model is trained if the models of both sides would be trained on the same tables
    with the same values."""
    without, having = (side.models[ablation.seeds[0]] for side in both)
    again = made_again(graph, without.recipe, having.recipe, ablation.keep)
    if any(again[asset][0] for asset in having.assets if asset in again):
        return  # the change concerns the training itself
    lakes = [_branch(folder / step.after) if step.after else lake for step in (without, having)]
    tables = [all_tables()[name] for name in _read(having, graph) if name in all_tables()]
    if tables and all(len({_content(own, table) for own in lakes}) == 1 for table in tables):
        raise AblationError(
            f"the change {ablation.change} makes no difference in this lake: {ablation.model} would be made from "
            "the same tables on both sides. A data set that is left out may have no rows here"
        )


def _keep_only(folder: Path, steps: Container[str]) -> None:
    """Delete the links of an ablation to other steps than its own, and the branches that no ablation has a link to."""
    for link in folder.iterdir():
        if link.name not in steps and link.is_symlink():
            link.unlink()
        elif link.name not in steps and link.is_dir():
            shutil.rmtree(link)  # of a version that had no links
    used = {link.resolve() for link in folder.parent.glob("*/*") if link.is_symlink()}
    for place in (folder.parent / _STEPS).resolve().iterdir():
        if place not in used:
            shutil.rmtree(place)


def _run(step: Step, place: Path, folder: Path, jobs: int | None) -> None:
    before = str((folder / step.after).resolve() / "lake") if step.after else lake.root
    own = {*step.assets, *_OWN, *(table for asset in step.assets for table in written_beside(asset))}
    make_branch(place / "lake", before, own)
    (place / "recipe.yaml").write_text(yaml.safe_dump(step.recipe.model_dump(mode="json"), sort_keys=False))
    with instance() as found:
        snapshots = sorted(found.get_dynamic_partitions("snapshot"))
    task = {"assets": [a.replace(".", "/") for a in step.assets], "snapshots": snapshots, "jobs": jobs}
    click.echo(f"{step.name}: {', '.join(step.assets)}")
    environment = {**os.environ, "NEMOTRON_HOME": str(place), "NEMOTRON_RECIPE": str(place / "recipe.yaml")}
    for name in ("NEMOTRON_LAKE", "DAGSTER_HOME"):
        environment.pop(name, None)
    with (place / "run.log").open("w") as log:
        done = subprocess.run(
            [sys.executable, "-m", "nemotron_assets.commands.branch"],
            cwd=PROJECT, env=environment, input=json.dumps(task), text=True, stdout=log, stderr=log,
        )  # fmt: skip
    missing = [asset for asset in step.assets if not _branch(place).read(all_tables()[asset]).exists]
    if missing:
        last = (place / "run.log").read_text().strip().rpartition("\n")[2]
        raise AblationError(
            f"{missing[0]} was not made ({place / 'run.log'}): the run {ending(done.returncode)}: {last}"
        )
    if done.returncode:  # a check failed, which both sides have to live with
        click.echo(f"  a check failed: see {place / 'run.log'}")


def _branch(place: Path) -> Lakehouse:
    return lake.model_copy(update={"root": str(place / "lake")})


def _models(side: Side, ablation: Ablation, folder: Path) -> dict[int, dict[str, Any]]:
    """The row of the model of each seed. Raises `AblationError` if a model has not seen the tokens of the ablation."""
    table, found = all_tables()[ablation.model], {}
    for seed, step in side.models.items():
        rows = newest_of_each_name(_branch(folder / step.name).read(table))
        if len(rows) != 1:
            raise AblationError(f"{step.name} made {len(rows)} models, not one: set the values of both sides so")
        found[seed] = rows[0]
    return found


def _check_that_models_differ(both: tuple[Side, Side], ablation: Ablation, folder: Path) -> None:
    """Raise `AblationError` if the two models of a seed are the same: the change concerned nothing that they read."""
    without, having = (_models(side, ablation, folder) for side in both)
    if same := [str(seed) for seed in ablation.seeds if without[seed]["sha256"] == having[seed]["sha256"]]:
        raise AblationError(
            f"with seed {', '.join(same)} both sides gave the same weights, because {ablation.tokens:,} tokens read "
            "nothing that the change concerns: raise tokens, or see what the side with the change made in "
            f"{folder / both[1].steps()[0].name}"
        )


def _measure(side: Side, ablation: Ablation, folder: Path) -> dict[int, Measured]:
    """The scores of the models of a side, by seed."""
    texts = {name: lake.read(table) for name, table in HELD_OUT.items()}
    items = lake.read(SUITE_ITEMS).scan().collect()
    own: Recipe = recipe
    measures = Measures(ablation, own, texts, items, Gpu.from_recipe(own.llm), Ledger(lake))
    found = {}
    for seed, row in _models(side, ablation, folder).items():
        branch = _branch(folder / side.models[seed].name)
        found[seed] = measures.of(row, branch.get_weights(row["uri"]))
    return found


def _print(ablation: Ablation, rows: list[dict[str, Any]]) -> None:
    click.echo(f"\n{ablation.question}\n")

    def lines() -> Iterator[list[str]]:
        for row in rows:
            interval = f"{row['low']:+.4f} to {row['high']:+.4f}"
            figures = (f"{row[name]:.4f}" for name in ("unchanged", "changed"))
            yield [
                row["task"], row["metric"], str(row["items"]), *figures, f"{row['difference']:+.4f}", interval,
                f"{row['p_value']:.4f}", row["verdict"],
            ]  # fmt: skip

    names = ("task", "metric", "items", "unchanged", "changed", "difference", "95% interval", "p", "with the change")
    print_table(names, list(lines()))
    click.echo(f"\nStored in evaluate.ablations; {len(ablation.seeds)} seeds, {ablation.tokens:,} tokens each.")
    click.echo("`nemotron report` shows it beside all others.")
