"""How the models of the post-training answer the held-out items of the suite of procedural tasks.

- `answering` has a model answer items, and grades the answers exactly.
- `comparing` compares each model with the models that it was made from, item by item.
- `budgets` has a model think within budgets, by itself and enforced.
"""
