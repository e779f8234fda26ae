"""Numbers of the post-training: conversations, supervised stages, rollouts, rewards, preferences, merging."""
