"""The hybrid Mamba-2/attention model and its training loop: a library, without assets.

`nemotron_h` builds transformers' NemotronHForCausalLM from the recipe and teaches it packed documents, `scan` is the
Mamba-2 recurrence it uses, `schedule` the learning rate, `stream` the order of the data, `checkpoint` what survives a
kill, `loop` the training that puts them together.
"""
