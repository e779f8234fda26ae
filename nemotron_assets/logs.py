"""What a run prints: the messages of the assets and the errors, one line each, without Dagster's event stream."""

from __future__ import annotations

import logging
import sys

import dagster as dg


class _Lines(logging.Handler):
    """Prints what assets log themselves; Dagster's own events are in the event log and the web UI."""

    def emit(self, record: logging.LogRecord) -> None:
        meta = getattr(record, "dagster_meta", {}) or {}
        if meta.get("dagster_event") is None:
            step = (meta.get("step_key") or "").replace("__", "/")
            message = meta.get("orig_message") or record.getMessage()
            print(f"        {step + ': ' if step else ''}{message}", file=sys.stdout, flush=True)


@dg.logger(description="One line per message of an asset.")
def console(context: dg.InitLoggerContext) -> logging.Logger:
    logger = logging.Logger("nemotron", level=logging.INFO)
    logger.addHandler(_Lines())
    return logger
