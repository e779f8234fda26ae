"""Rollouts: answers of a model that is being trained, with the tokens and their log-probabilities.

- `policy` asks for rollouts through the generation ledger, so that a crash pays for none twice.
- `transformers_engine` samples with the model that trains, or with weights of the lake, in batches.
- `draws` chooses a token: the choice follows from the request and the position alone.
- `opening` makes the policy that the recipe names: transformers, or vLLM (resources/engines.py).
"""
