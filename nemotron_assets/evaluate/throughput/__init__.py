"""How fast models run beside plain Transformers of their size: `measuring` times batches, `ratios` compares them."""
