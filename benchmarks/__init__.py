"""One runnable file per claim the project makes about itself, and what was measured."""
