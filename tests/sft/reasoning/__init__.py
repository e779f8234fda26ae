"""Tests of nemotron_assets/sft/reasoning."""
