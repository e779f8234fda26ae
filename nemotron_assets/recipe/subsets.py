"""The names of the published subsets of Nemotron-CC-v2. Imports nothing, because table declarations read it."""

from __future__ import annotations

from typing import Literal

SubsetName = Literal[
    "High-Quality",
    "Medium-High-Quality",
    "Medium-Quality",
    "High-Quality-Synthetic",
    "Diverse-QA",
    "Translated-Diverse-QA",
]
