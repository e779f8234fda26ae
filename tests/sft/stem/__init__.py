"""Tests of nemotron_assets/sft/stem."""
