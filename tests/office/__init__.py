"""Tests of the office that tool calling is learned in."""
