"""`nemotron ui`: Dagster's webserver and daemon for this project, on the loopback interface only.

`ui_command` replaces the `nemotron` process with this module run as a program. The program starts the webserver and
the daemon as its children: a signal ends all three, and when one child ends, the other is ended too. It serves the
report itself, one port after the webserver's.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NoReturn

from nemotron_assets.commands.report_server import PATH, serve_report
from nemotron_assets.instance import PROJECT, instance
from nemotron_assets.run_processes import end_lost_runs
from resources.home import report_file
from resources.processes import die_with_parent

#: Levels of what the terminal shows. Dagster's code servers say little about DEBUG and INFO that helps a person.
_QUIET = ("--log-level", "warning", "--code-server-log-level", "warning")
#: On a busy machine, comparing all assets (the sensor follow_new_data) and starting a run take longer than the 60 s
#: that Dagster allows. A run that is not started in time counts as failed.
_PATIENCE = {"DAGSTER_SENSOR_GRPC_TIMEOUT_SECONDS": "600", "DAGSTER_GRPC_TIMEOUT_SECONDS": "600"}
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def ui_command(port: int) -> NoReturn:
    """Start the web UI on a port of 127.0.0.1, in place of this process.

    The process is replaced (exec), so that signals reach the program itself and nothing survives a closed terminal.
    """
    instance().dispose()
    os.chdir(PROJECT)
    program = [sys.executable, "-m", "nemotron_assets.commands.ui", "--host", "127.0.0.1", "--port", str(port)]
    os.execv(sys.executable, program)


def main() -> int:
    """Run the webserver and the daemon until one of them ends or a signal comes; returns the exit status."""
    parser = argparse.ArgumentParser(description="Run Dagster's webserver and daemon for this project.")
    parser.add_argument("--host", default="127.0.0.1", choices=LOOPBACK)
    parser.add_argument("--port", default="3000")
    args = parser.parse_args()
    with instance() as found:
        end_lost_runs(found)
    workspace = ["-w", str(PROJECT / "workspace.yaml")]
    programs = [
        ["dagster-webserver", "-h", args.host, "-p", args.port, *_QUIET, "--dagster-log-level", "warning", *workspace],
        ["dagster-daemon", "run", *_QUIET, *workspace],
    ]

    def stop(number: int, frame: object) -> None:
        raise SystemExit(0)

    # A script that starts this program in the background makes it ignore SIGINT. The children would ignore SIGINT too,
    # and Dagster's daemon does with SIGTERM what is done with SIGINT. So there is a handler before there are children.
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    folder = Path(sys.executable).parent
    env = _PATIENCE | os.environ
    children = [
        subprocess.Popen([str(folder / program), *rest], cwd=PROJECT, env=env, preexec_fn=_begin)
        for program, *rest in programs
    ]
    print(f"Dagster: http://{args.host}:{args.port}  (Ctrl-C ends it)", flush=True)
    _serve_report(args.host, int(args.port) + 1)
    try:
        while all(child.poll() is None for child in children):
            time.sleep(0.5)
        return max(child.poll() or 0 for child in children)
    finally:
        for child in children:
            child.terminate()
        for child in children:
            try:
                child.wait(timeout=15)
            except subprocess.TimeoutExpired:
                child.kill()


def _serve_report(host: str, port: int) -> None:
    """Serve the report, or say why not: the UI is useful without it."""
    try:
        serve_report(host, port, report_file())
        print(f"Report:  http://{host}:{port}{PATH}", flush=True)
    except (OSError, OverflowError) as error:
        print(f"Report:  {report_file()} (not served at port {port}: {error})", flush=True)


def _begin() -> None:
    """Prepare a child process: it ends when its parent ends, and does not receive the terminal's Ctrl-C."""
    die_with_parent(by=signal.SIGTERM)
    os.setpgrp()


if __name__ == "__main__":
    sys.exit(main())
