"""Post-training: makes the long-context model follow instructions, think within a budget, call tools, and please."""
