"""Lake: upkeep of the tables themselves, whatever stage they belong to."""
