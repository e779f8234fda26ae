"""The hybrid Mamba-2/attention architecture: a library, without assets.

`nemotron_h` builds transformers' NemotronHForCausalLM from the recipe and teaches it packed documents (`packing`),
`scan` is the Mamba-2 recurrence it uses. How a model is trained is in `nemotron_assets/training`.
"""
