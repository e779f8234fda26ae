"""Tests of nemotron_assets/sft/inputs."""
