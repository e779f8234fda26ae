"""How Dagster runs the steps of a run: in its process, in processes side by side, or as jobs of a Ray cluster."""

from __future__ import annotations

import os
import sys

import dagster as dg

from nemotron_assets.recipe import Recipe

#: Variables that a job gets: places and the recipe. Access to an object store is not passed on, because Ray shows the
#: variables of a job; every machine has it in its own environment.
_PASSED_ON = ("NEMOTRON_HOME", "NEMOTRON_LAKE", "NEMOTRON_RECIPE", "DAGSTER_HOME", "PYTHONPATH")


def executor(recipe: Recipe) -> dg.ExecutorDefinition:
    """The executor that the recipe names. For jobs of a Ray cluster, all machines have the project at the same path."""
    if recipe.executor == "in_process":
        return dg.in_process_executor
    if recipe.executor == "multiprocess":
        preloaded = {"preload_modules": ["dagster", "pyarrow"]}
        return dg.multiprocess_executor.configured({"start_method": {"forkserver": preloaded}})
    from dagster_ray import ray_executor

    address = {"address": recipe.compute.jobs_address} if recipe.compute.jobs_address else {}
    path = (
        f"PATH={os.path.dirname(sys.executable)}:{os.environ.get('PATH', os.defpath)}"  # where the command dagster is
    )
    # A job that asks for a share of a core may run on every machine, and one that asks for nothing only on the first.
    asked = {"num_cpus": recipe.compute.step_cores}
    return ray_executor.configured({"ray": {**address, "env_vars": [*_PASSED_ON, path], **asked}})
