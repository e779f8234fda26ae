"""Numbers of deduplication: exact, near and substring."""

from __future__ import annotations

from pydantic import Field

from nemotron_assets.recipe.section import Section


class Dedup(Section):
    """Deduplication over all snapshots (Nemotron-CC §2.1; exact by the hash of the full text)."""

    memory_mb: int = Field(ge=64, description="memory of a join before it spills to disk, in MB (default)")
