"""Tests of nemotron_assets/sft/instructions."""
