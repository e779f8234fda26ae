"""The Dagster definitions: all assets, checks, jobs, schedules, sensors and resources. Loading them must stay cheap."""

from __future__ import annotations

import warnings

import dagster as dg

from nemotron_assets.executors import executor
from nemotron_assets.logs import console
from nemotron_assets.recipe import current_recipe
from nemotron_assets.sft.tables_of import check_names
from nemotron_assets.stages import offered
from resources.compute import Compute
from resources.crawl import Crawl
from resources.gpu import Gpu
from resources.home import lake_root
from resources.lakehouse import Lakehouse
from resources.warehouse import Warehouse

recipe = current_recipe()
check_names(recipe.sft)

lake = Lakehouse(
    root=lake_root(),
    row_group_rows=recipe.storage.row_group_rows,
    row_group_mb=recipe.storage.row_group_mb,
    compression_level=recipe.storage.compression_level,
    free_disk_mb=recipe.storage.free_disk_mb,
)

# All assets follow new data automatically, except the maintenance of the lake, which has a schedule.
warnings.filterwarnings("ignore", "Parameter `use_user_code_server`", dg.BetaWarning)
follow = dg.AutomationConditionSensorDefinition(
    name="follow_new_data",
    target=dg.AssetSelection.all() - dg.AssetSelection.groups("lake"),
    use_user_code_server=True,  # because two conditions are the project's own (conditions.py)
    emit_backfills=False,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Makes what is missing and what has inputs with new content, as soon as a snapshot has pages. An asset "
    "whose run failed waits for a person: open its run and re-execute it.",
)


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.SUCCESS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Adds tables that a run wrote for the first time to the DuckDB catalog, for plain DuckDB clients.",
)
def refresh_catalog(context: dg.RunStatusSensorContext, warehouse: dg.ResourceParam[Warehouse]) -> None:
    if not warehouse.current():
        warehouse.refresh()


defs = dg.Definitions(
    assets=offered("ASSETS", "assets"),
    asset_checks=offered("CHECKS", "checks"),
    jobs=offered("JOBS", "automation"),
    schedules=offered("SCHEDULES", "automation"),
    sensors=[*offered("SENSORS", "automation"), follow, refresh_catalog],
    resources={
        "io_manager": lake,
        "lake": lake,
        "recipe": recipe,
        "compute": Compute(**recipe.compute.model_dump(exclude={"jobs_address", "step_cores"})),
        "crawl": Crawl.from_recipe(recipe.snapshots.crawl),
        "gpu": Gpu.from_recipe(recipe.llm, recipe.machines),
        "warehouse": Warehouse(root=lake.root, storage_options=lake.storage_options),
    },
    executor=executor(recipe),
    loggers={"console": console},
)
