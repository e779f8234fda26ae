"""Tests of the compression."""
