"""Estimates of the SFT data."""
