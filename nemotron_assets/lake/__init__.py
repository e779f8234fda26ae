"""Lake: upkeep of the tables of all stages (compaction, deletion of old versions)."""
