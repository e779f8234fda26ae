"""Counts the errors that the checks of the supervised stages look for, and measures how surely a model ends its turns.

A model whose end-of-turn token was never trained writes until its budget is used up. So each row must end with this
token, trained, and a tuned model must give it a high probability at the ends of answers that it has never seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from nemotron_assets.align.tuning.tables import REPLAY
from nemotron_assets.chat.template import END_OF_TURN_ID
from nemotron_assets.recipe.align.tuning import Stage

#: Rows of held-out conversations that a model is measured on, at most, and those of a forward pass.
MEASURED, _TOGETHER = 256, 16


def broken_rows(rows: pl.LazyFrame) -> dict[str, int]:
    """Rows of align.token_shards that would teach something wrong, by the kind of error.

    `lengths`: the numbers of tokens and mask values differ; `no_end`: the last token is not the end of turn; `ends`:
    there is another end of turn in the answer; `mask`: the trained tokens are not the answer alone, up to its end, with
    a prompt before it. Of replayed texts, `mask` is that every token but the first is trained.
    """
    tokens, trained, length, answer = (pl.col(name) for name in ("tokens", "trained", "length", "answer_length"))
    written = tokens.list.tail(answer)
    is_answer = pl.col("category") != REPLAY
    kinds = {
        "lengths": (tokens.list.len() == length) & (trained.list.len() == length),
        "no_end": ~is_answer | (tokens.list.last() == END_OF_TURN_ID),
        "ends": ~is_answer | (written.list.count_matches(END_OF_TURN_ID) == 1),
        "mask": pl.when(is_answer).then(answer.is_between(1, length - 1)).otherwise(answer == length - 1)
        & (trained.list.tail(answer).list.all())
        & (trained.list.sum().cast(pl.Int64) == answer),
    }
    counts = [(~right.fill_null(False)).sum().alias(name) for name, right in kinds.items()]
    return rows.select(counts).collect(engine="streaming").row(0, named=True)


def broken_sequences(sequences: pl.LazyFrame, rows: pl.LazyFrame, name: str, stage: Stage) -> dict[str, int]:
    """Errors in the part `name` of align.sequences, by kind.

    `too_long`: sequences of more tokens than the stage has; `joined`: sequences of several rows in a stage that does
    not pack; `cut`: rows of which a part is missing; `twice`: rows that stand in two places; `held_out`: rows that must
    not be trained on.
    """
    own = sequences.filter(pl.col("part") == name)
    pieces = own.select("parents", "piece_lengths", "piece_offsets").explode(pl.all()).rename({"parents": "id"})
    joined = pieces.join(rows.select("id", "length", "held_out"), on="id", how="left")
    of_rows = joined.select(
        cut=((pl.col("length") != pl.col("piece_lengths")) | (pl.col("piece_offsets") != 0)).fill_null(True).sum(),
        twice=pl.len() - pl.col("id").n_unique(),
        held_out=pl.col("held_out").sum(),
    )
    of_sequences = own.select(
        too_long=(pl.col("tokens") > stage.sequence_length).sum(),
        joined=((pl.col("parents").list.len() > 1) & (not stage.packed)).sum(),
    )
    counted = pl.collect_all([of_sequences, of_rows], engine="streaming")
    return {name: int(value) for frame in counted for name, value in frame.row(0, named=True).items()}


def end_of_turn(folder: Path, rows: pl.DataFrame, device: str) -> pl.DataFrame:
    """How the model in `folder` reads answers that it was not trained on (rows of align.token_shards), by domain:
    `rows`, `probability` of the end of turn at their ends, `loss` in nats per token of the answers."""
    import torch
    from transformers import AutoModelForCausalLM

    from nemotron_assets.model.nemotron_h import attach, packed_hidden
    from nemotron_assets.training.stream import as_batch

    model = attach(AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True))
    model.to(device).eval()
    found = []
    for part in rows.sort("length", "id").iter_slices(_TOGETHER):
        packed = list(_sequences(part))
        batch = as_batch(packed, max(part["length"]), device)
        with torch.inference_mode():
            hidden = packed_hidden(model, batch.tokens, batch.packing).flatten(0, 1)[batch.places]
            logs = model.lm_head(hidden).float().log_softmax(-1)
        targets = batch.targets.flatten()[batch.places]
        losses = -logs.gather(1, targets.unsqueeze(1)).squeeze(1)
        first = 0
        for category, answer in part.select("category", "answer_length").iter_rows():
            own = slice(first, first := first + answer)
            found.append((category, logs[own][-1, END_OF_TURN_ID].exp().item(), losses[own].sum().item(), answer))
    frame = pl.DataFrame(found, schema=["category", "probability", "loss", "tokens"], orient="row")
    of = {"rows": pl.len(), "probability": pl.col("probability").mean()}
    return frame.group_by("category").agg(**of, loss=pl.col("loss").sum() / pl.col("tokens").sum()).sort("category")


def _sequences(rows: pl.DataFrame) -> Iterator:
    import numpy as np

    from nemotron_assets.training.stream import PackedSequence

    for tokens, trained in rows.select("tokens", "trained").iter_rows():
        yield PackedSequence(np.array(tokens, np.int32), (len(tokens),), np.array(trained))


def held_out_rows(rows: pl.LazyFrame) -> pl.DataFrame:
    """At most `MEASURED` rows of held-out conversations, those with the lowest hashes."""
    wanted = ["id", "category", "tokens", "trained", "length", "answer_length"]
    return rows.filter("held_out").select(wanted).bottom_k(MEASURED, by="id").collect(engine="streaming")
