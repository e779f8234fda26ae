"""The logger of a run on the console: one line per asset that starts, per message, and per table that was made.

Dagster's full stream of events is in the event log and the web UI. A run that `nemotron run` started in a worker
process prints the same facts as JSON, from which the command makes its display.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from typing import Any

import dagster as dg

from nemotron_assets.stages import all_tables
from nemotron_assets.table.counting import counted

#: Begins a line with a fact in JSON, among the lines that libraries print.
MARK = "\x1e"


class _Facts(logging.Handler):
    """Prints messages of assets, and the events that a person waits for: as text, or as JSON after `MARK`."""

    def __init__(self, as_json: bool) -> None:
        super().__init__()
        self._as_json = as_json

    def emit(self, record: logging.LogRecord) -> None:
        meta = getattr(record, "dagster_meta", {}) or {}
        event = meta.get("dagster_event")
        step = (meta.get("step_key") or "").replace("__", "/", 1)
        fact = (
            {"kind": "says", "text": meta.get("orig_message") or record.getMessage(), "level": record.levelno}
            if event is None
            else fact_of(event, step)
        )
        if fact:
            print_fact({"asset": step, **fact}, self._as_json)


def keep_output() -> None:
    """Print facts to what is standard output now. Dagster sends the standard output of a step to a file, and copies it
    from there with a delay."""
    global _output
    _output = os.fdopen(os.dup(1), "w", encoding="utf-8")


_output: Any = None


def print_fact(fact: dict[str, Any], as_json: bool) -> None:
    """Print a fact in one write, so that lines of several processes do not mix."""
    output = _output or sys.stdout
    output.write((MARK + json.dumps(fact) if as_json else line_of(fact)) + "\n")
    output.flush()


def fact_of(event: dg.DagsterEvent, step: str) -> dict[str, Any] | None:
    """What an event that a person waits for says; None for all other events."""
    if event.event_type_value == "STEP_START" and step.replace("/", ".") in all_tables():  # steps of checks have none
        return {"kind": "start"}
    if event.event_type_value == "STEP_RESTARTED":
        return {"kind": "again"}
    if event.event_type_value == "ASSET_MATERIALIZATION":
        facts: dict[str, Any] = {k: v.value for k, v in event.materialization.metadata.items()}
        rows = facts.get("dagster/partition_row_count", facts.get("dagster/row_count"))
        return {"kind": "made", "asset": event.asset_key.to_user_string(), "partition": event.partition, "rows": rows}
    return None


def line_of(fact: dict[str, Any]) -> str:
    """A fact as a line of a log."""
    asset = fact.get("asset", "") + (f" [{fact['partition']}]" if fact.get("partition") else "")
    if fact["kind"] == "says":
        return f"        {asset + ': ' if fact.get('asset') else ''}{fact['text']}"
    rows = f": {counted(fact['rows'], 'row')}" if fact.get("rows") is not None else ""
    return f"{fact['kind']:8}{asset}{rows}"


@dg.logger(
    config_schema={"json": dg.Field(bool, default_value=False, description="JSON instead of text, for `nemotron run`")},
    description="One line per asset that starts, per message of an asset, and per table that was made.",
)
def console(context: dg.InitLoggerContext) -> logging.Logger:
    logger = logging.Logger("nemotron", level=logging.DEBUG)
    logger.addHandler(_Facts(as_json=context.logger_config["json"]))
    return logger
