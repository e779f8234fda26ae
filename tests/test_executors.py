"""The executor that a recipe names, and what its steps get on another machine."""

from __future__ import annotations

import dagster as dg
import pytest

from nemotron_assets.executors import executor
from nemotron_assets.recipe import load_recipe


@pytest.mark.parametrize("name", ["in_process", "multiprocess", "ray"])
def test_a_recipe_names_the_executor(name):
    recipe = load_recipe("laptop").model_copy(update={"executor": name})
    assert executor(recipe).name == name


def test_jobs_of_a_cluster_get_places_and_no_keys(monkeypatch):
    """Ray shows the variables of a job to everybody who may see its dashboard."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    laptop = load_recipe("laptop")
    compute = laptop.compute.model_copy(update={"jobs_address": "http://10.0.0.1:8265"})
    made = executor(laptop.model_copy(update={"executor": "ray", "compute": compute}))
    config = made.apply_config_mapping({"config": {}}).value["config"]["ray"]
    assert config["address"] == "http://10.0.0.1:8265" and config["num_cpus"] == 0.25
    assert {"NEMOTRON_HOME", "NEMOTRON_RECIPE", "DAGSTER_HOME"} <= set(config["env_vars"])
    assert not [name for name in config["env_vars"] if "KEY" in name or "TOKEN" in name or name.startswith("AWS")]
    assert isinstance(made, dg.ExecutorDefinition)
