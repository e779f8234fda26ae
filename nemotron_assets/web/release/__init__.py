"""The room that assembles Nemotron-CC-v2 as it is published."""
