"""The libraries that worker processes use load neither Dagster nor Delta tables."""

from __future__ import annotations

import subprocess
import sys

#: Each of them is imported by functions that run in worker processes, or is what those modules are made of.
LIBRARIES = [
    "contamination.items", "dedup.candidates", "dedup.duplicates", "dedup.in_memory", "dedup.near", "dedup.signatures",
    "generation.answers", "generation.asking", "generation.writing", "held_out", "scorers.kinds", "scorers.published",
    "scorers.references", "scorers.running", "scorers.training", "table.spill", "text.heuristics", "text.language",
    "text.personal_data", "text.tokenizer", "web.dedup.missed_pairs", "web.dedup.substring",
]  # fmt: skip
CODE = """
import sys
from importlib import import_module
for name in sys.argv[1:]:
    import_module(f"nemotron_assets.{name}")
print(*sorted({"dagster", "deltalake", "torch", "transformers", "vllm"} & sys.modules.keys()))
"""


def test_libraries_load_no_dagster():
    loaded = subprocess.check_output([sys.executable, "-c", CODE, *LIBRARIES], text=True).split()
    assert loaded == []
