"""Answers of a policy, token by token, with the log-probability of every token. A library, without assets."""
