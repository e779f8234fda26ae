"""Conversations of an aligned model: their form, the chat template, what a training learns of them, tool calls, and the
budget of a thought. A library, without assets."""
