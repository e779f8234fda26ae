"""The blend: the tokenizer, and the documents that the model is trained on, packed into sequences of token ids."""
