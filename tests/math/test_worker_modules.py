"""The functions that worker processes map over pages load neither Dagster nor Delta, so that workers start fast."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
MAPPED = (
    "nemotron_assets.math.candidates",
    "nemotron_assets.math.rendered",
    "nemotron_assets.math.corpus.contamination",
    "nemotron_assets.math.corpus.quality",
)


def test_workers_load_neither_dagster_nor_delta():
    code = f"import sys, {', '.join(MAPPED)}; print(*{{'dagster', 'deltalake', 'duckdb'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []
