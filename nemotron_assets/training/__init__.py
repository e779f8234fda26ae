"""Trains any kind of model: a library without assets.

- `plan` finds or trains the model that a stage asks for.
- `worker` runs in the training process: it builds the job and reads the token shards.
- `job` describes one training: the starting weights, the settings and the loss.
- `loop` trains what `setup` builds, in the processes of `ranks`; `losses` has the losses, `schedule` the learning rate.
- `precision` has BF16 and FP8, `flops` the operations of a model and the peak of a device.
- `guard` leaves out batches that would harm the model.
- `mixture` is the order of the data, of shares (`apportion`) and shuffled sources (`shuffle`); `stream` reads it, from
  files that are mapped into memory (`mapped`). `tally` counts the categories.
- `packing` packs documents of different lengths into sequences.
- `checkpoint` writes and reads checkpoints, `conditions` says what differs after a resume.
- `distillation` trains towards the distribution of a `teacher`, on `teaching_data`.
- `with_trl` runs the trainers of TRL for the losses that compare answers: `preference` and `reinforcement`.
- `metrics` stores the progress and events in the lake, and plots them; `shown` shows them beside an asset, and `checks`
  has the checks of every trained model.

A stage adds a loss and a data stream, but not a training loop.
"""
