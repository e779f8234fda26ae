"""The hybrid Mamba-2/attention architecture: a library, without assets.

`nemotron_h` builds transformers' NemotronHForCausalLM from the recipe and makes it read packed documents. `packing`
describes where the documents are, and `scan` is the Mamba-2 recurrence. Training is in `nemotron_assets/training`.
"""
