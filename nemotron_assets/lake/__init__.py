"""The lake as a whole: upkeep of the tables of all stages, and migrations of tables that an older version wrote."""
