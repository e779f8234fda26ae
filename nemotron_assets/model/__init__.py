"""The hybrid Mamba-2/attention architecture: a library, without assets.

`nemotron_h` builds transformers' NemotronHForCausalLM from the recipe and makes it read packed documents: `packing`
describes where the documents are, `packed_inputs` understands what other libraries say about them, and `mixers` has the
forward functions of the layers. `scan` is the Mamba-2 recurrence, `attention` attends inside documents, and `parallel`
shares a sequence among ranks. Training is in `nemotron_assets/training`.
"""
