"""Scores a model on held-out answers without writing any: looks at every token of an answer in one forward pass.

An answer is right if each of its tokens, the end of turn included, is the likeliest after what stands before it. That
is exactly when greedy decoding gives the answer to the letter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nemotron_assets.align.tuning.tables import TOKEN_SHARDS
from nemotron_assets.training.plan import TrainingError

if TYPE_CHECKING:
    from transformers import NemotronHForCausalLM

    from resources.lakehouse import Reader


@dataclass(frozen=True)
class Scores:
    """`loss` in nats per token of the answers, `right` the share of the answers that greedy decoding gives."""

    loss: float
    right: float
    items: int


def held_out_answers(shards: Reader, most: int, length: int) -> list[Any]:
    """At most `most` held-out answers with their conversations of at most `length` tokens. Ids are hashes,
    so the first ones are a random choice. Raises `TrainingError` if nothing is held out."""
    import numpy as np
    import polars as pl

    from nemotron_assets.training.stream import PackedSequence

    wanted = pl.col("held_out") & (pl.col("length") <= length)
    rows = shards.scan().filter(wanted).select("id", "tokens", "trained").sort("id").head(most).collect()
    if rows.is_empty():
        raise TrainingError(
            f"{TOKEN_SHARDS.full_name} holds out no answer of at most {length} tokens: raise align.tuning."
            "held_out_share"
        )
    return [
        PackedSequence(np.array(tokens, np.int32), (len(tokens),), np.array(trained, bool))
        for _, tokens, trained in rows.iter_rows()
    ]


def score(model: NemotronHForCausalLM, answers: list[Any], batch_tokens: int = 16_384) -> Scores:
    """The scores of an attached model on these sequences."""
    import torch

    from nemotron_assets.model.nemotron_h import packed_hidden
    from nemotron_assets.training.stream import as_batch

    loss, tokens, right = 0.0, 0, 0
    ordered = sorted(answers, key=lambda own: len(own.tokens))
    with torch.inference_mode():
        while ordered:
            most = max(1, batch_tokens // len(ordered[-1].tokens))
            rows, ordered = ordered[-most:], ordered[:-most]
            batch = as_batch(rows, max(len(own.tokens) for own in rows), model.device)
            places, targets = batch.places, batch.targets.flatten()[batch.places]
            hidden = packed_hidden(model, batch.tokens, batch.packing).flatten(0, 1)[places]
            wrong = torch.zeros(len(rows), dtype=torch.bool, device=model.device)
            for states, wanted, own in zip(
                hidden.split(1_024), targets.split(1_024), (places // batch.tokens.shape[1]).split(1_024), strict=True
            ):
                logits = model.lm_head(states).float()
                loss += float(torch.nn.functional.cross_entropy(logits, wanted, reduction="sum"))
                wrong[own[logits.argmax(-1) != wanted]] = True
            tokens += len(places)
            right += int((~wrong).sum())
    return Scores(loss / max(tokens, 1), right / len(answers), len(answers))
