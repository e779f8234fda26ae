"""Nemotron Lakehouse: every dataset and model of the Nemotron Nano 2 release as a Dagster asset on a Delta table."""

import gc

# What a process has imported by now, Dagster for example, lives as long as the process. The garbage collector need not
# look through it again and again while the definitions are loaded, which would take a tenth of the time.
gc.freeze()
