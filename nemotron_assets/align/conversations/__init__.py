"""Conversations and prompts of the post-training: what the supervised stages learn, and what policies are asked."""
