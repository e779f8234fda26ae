"""Nemotron Lakehouse: every dataset and model of the Nemotron Nano 2 release as a Dagster asset on a Delta table."""
