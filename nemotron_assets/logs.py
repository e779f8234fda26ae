"""The logger of a run on the console: one line per asset that starts, per message, and per table that was made.

Dagster's full stream of events is in the event log and the web UI.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

import dagster as dg

from nemotron_assets.stages import all_tables


class _Lines(logging.Handler):
    """Prints messages of assets, and the events that `_of_event` has a line for."""

    def emit(self, record: logging.LogRecord) -> None:
        meta = getattr(record, "dagster_meta", {}) or {}
        event = meta.get("dagster_event")
        step = (meta.get("step_key") or "").replace("__", "/", 1)
        line = (
            f"        {step + ': ' if step else ''}{meta.get('orig_message') or record.getMessage()}"
            if event is None
            else _of_event(event, step)
        )
        if line:
            print(line, file=sys.stdout, flush=True)


def _of_event(event: dg.DagsterEvent, step: str) -> str:
    """The line for an event that a person waits for; empty for all other events."""
    if event.event_type_value == "STEP_START" and step.replace("/", ".") in all_tables():  # steps of checks have none
        return f"start   {step}"
    if event.event_type_value == "STEP_RESTARTED":
        return f"again   {step}"
    if event.event_type_value == "ASSET_MATERIALIZATION":
        facts: dict[str, Any] = {k: v.value for k, v in event.materialization.metadata.items()}
        rows = facts.get("dagster/partition_row_count", facts.get("dagster/row_count"))
        partition = f" [{event.partition}]" if event.partition else ""
        return f"made    {event.asset_key.to_user_string()}{partition}" + (
            f": {rows:,} rows" if rows is not None else ""
        )
    return ""


@dg.logger(description="One line per asset that starts, per message of an asset, and per table that was made.")
def console(context: dg.InitLoggerContext) -> logging.Logger:
    logger = logging.Logger("nemotron", level=logging.DEBUG)
    logger.addHandler(_Lines())
    return logger
