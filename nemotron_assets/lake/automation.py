"""The schedule of the lake's upkeep: once a week. New data does not start it."""

import dagster as dg

from nemotron_assets.lake.assets import maintenance

upkeep = dg.ScheduleDefinition(
    name="weekly_maintenance",
    job=dg.define_asset_job("maintain", selection=[maintenance], description="Maintain all tables of the lake."),
    cron_schedule="0 5 * * 0",
    description="Compacts all tables and deletes old files, every Sunday at 5:00 UTC. Starts switched off: switch it "
    "on, or run `nemotron maintain` yourself.",
)

SCHEDULES = [upkeep]
