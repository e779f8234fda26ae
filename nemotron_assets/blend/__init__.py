"""Blend: the tokenizer, the held-out split, and documents packed into sequences of token ids."""
