"""How any model is trained: a library, without assets.

`job` says what to train and from which weights, `loop` trains, `losses` are what it minimises, `stream` is the order of
the data, `schedule` the learning rate, `checkpoint` what survives a kill, `metrics` what is stored of its progress and
`plan` what decides the identity of the model. A stage adds a loss and a data stream, not a loop.
"""
