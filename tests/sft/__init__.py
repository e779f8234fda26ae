"""Tests of the SFT data."""
