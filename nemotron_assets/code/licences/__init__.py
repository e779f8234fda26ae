"""Which licence every file is under, whether the recipe allows it, and the evidence."""
