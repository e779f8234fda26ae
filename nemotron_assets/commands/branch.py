"""Brings some assets of a branch up to date, as a program: `nemotron ablate` starts it in the home of the branch.

The standard input has the names of the assets and of the snapshots as JSON. Dagster's instance of the branch knows no
asset at first, so exactly these assets are missing, and a branch that was interrupted goes on where it stopped.
"""

from __future__ import annotations

import json
import sys


def main() -> int:
    """Run the assets; returns the exit status."""
    task = json.load(sys.stdin)
    from nemotron_assets.commands.progress import progress
    from nemotron_assets.commands.run import print_outcomes, silence, summary
    from nemotron_assets.commands.runner import Runner
    from nemotron_assets.commands.workers import default_jobs

    silence()
    runner = Runner(progress())
    runner.instance.add_dynamic_partitions("snapshot", task["snapshots"])
    done = runner.run(runner.select(" or ".join(task["assets"])), None, task["jobs"] or default_jobs())
    print_outcomes(runner.outcomes.values())
    print("\n".join(summary(list(runner.outcomes.values()))))
    return 0 if done else 1


if __name__ == "__main__":
    sys.exit(main())
