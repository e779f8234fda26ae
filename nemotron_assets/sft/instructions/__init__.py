"""Instructions with responses: mathematics, code, general, and translations of them into 15 languages."""
