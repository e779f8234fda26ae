"""Conversations become rows of tokens: each ends with its trained end of turn, and what does not fit says why."""

from __future__ import annotations

import itertools
import json

import polars as pl
import pytest

from nemotron_assets.align.conversations.tables import CONVERSATIONS
from nemotron_assets.align.tuning import audit
from nemotron_assets.align.tuning.replay import replay_parts
from nemotron_assets.align.tuning.shards import Encoding, shard_parts
from nemotron_assets.align.tuning.tables import REPLAY, TOKEN_SHARDS
from nemotron_assets.blend.tables import TOKEN_SHARDS as TEXTS
from nemotron_assets.recipe import load_recipe
from nemotron_assets.recipe.align.tuning import Replay
from nemotron_assets.table.parts import Parts, Rejects
from nemotron_assets.text import tokenizer as bpe
from resources.lakehouse import Lakehouse
from tests.align.tuning.conversations import conversation, frame, several


@pytest.fixture(scope="module")
def tokenizer_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    bpe.save(bpe.train([["question answer thinking System User Assistant think"]], 512, 32, 2), folder, 64)
    return folder


@pytest.fixture
def lake(tmp_path):
    return Lakehouse(root=str(tmp_path / "lake"), free_disk_mb=0)


def encoded(lake, folder, rows: pl.DataFrame, **changed):
    """The rows of align.token_shards for these conversations, as they are stored, and the rejects."""
    lake.write(CONVERSATIONS, rows)
    recipe = load_recipe("laptop").align.tuning.model_copy(update=changed)
    rejects, reader = Rejects(), lake.read(CONVERSATIONS)
    parts = list(shard_parts(reader, Encoding(folder, "sha", recipe, reader.input_version), rejects))
    made = [part.make() for part in parts]
    rejected = rejects.take()
    lake.write(TOKEN_SHARDS, Parts(parts, rejects=rejects))
    return pl.concat([TOKEN_SHARDS.empty(), *made]), rejected, parts


def test_every_row_is_an_answer_with_its_end_of_turn(lake, tokenizer_folder):
    rows, rejects, parts = encoded(lake, tokenizer_folder, several())
    assert not rejects and len(rows) == several().height
    assert {part.key for part in parts} == {
        "math/full/000000", "math/no_think/000000", "math/truncated/000000", "suite/full/000000", "tools/full/000000",
    }  # fmt: skip
    assert audit.broken_rows(rows.lazy()) == {"lengths": 0, "no_end": 0, "ends": 0, "mask": 0}
    loaded = bpe.load(tokenizer_folder)
    row = rows.filter(variant="truncated").row(0, named=True)
    text = bpe.decode(loaded, row["tokens"])
    assert text.startswith("<SPECIAL_10>System\n\n<SPECIAL_11>User\nquestion ")
    written = bpe.decode(loaded, [t for t, trained in zip(row["tokens"], row["trained"], strict=True) if trained])
    assert written.startswith("t h i n k\n</think>\n\nanswer ") and written.endswith("\n<SPECIAL_12>")
    assert bpe.decode(loaded, row["tokens"][: -row["answer_length"]]).endswith("Assistant\n<think>\n")
    no_thought = rows.filter(variant="no_think").row(0, named=True)
    assert bpe.decode(loaded, no_thought["tokens"]).count("<think></think>answer") == 1


def test_texts_of_the_pretraining_are_windows_of_which_all_but_the_first_token_is_trained(lake):
    lengths = {"a" * 32: 500, "b" * 32: 40, "0" * 32: 90}
    lake.write(TEXTS, pl.DataFrame([
        {"id": id_, "parents": ["d"], "sources": ["web.documents"], "part": "web/x/000000", "category": "crawl",
         "data_set": "web", "position": at, "tokens": [*range(1, length), 0], "length": length, "read_versions": None}
        for at, (id_, length) in enumerate(lengths.items())
    ], schema=TEXTS.empty().schema))  # fmt: skip
    texts, recipe = lake.read(TEXTS), Replay(share=1.0, tokens=64)
    lake.write(TOKEN_SHARDS, Parts(replay_parts(texts, recipe)))
    rows = lake.read(TOKEN_SHARDS).scan().sort("position").collect()
    assert set(rows["category"]) == {REPLAY} and rows["position"].to_list() == [0, 1, 2]
    assert {row["parents"][0]: row["length"] for row in rows.to_dicts()} == {"a" * 32: 64, "b" * 32: 40, "0" * 32: 64}
    for row in rows.to_dicts():
        tokens = row["tokens"]
        assert all(after in (before + 1, 0) for before, after in itertools.pairwise(tokens))
    assert rows.filter(original="a" * 32)["tokens"][0].to_list() != list(range(1, 65)), "not only beginnings are read"
    assert not any(audit.broken_rows(rows.lazy()).values())
    untrained = rows.with_columns(trained=pl.col("trained").list.eval(pl.element() & False))
    assert audit.broken_rows(untrained.lazy())["mask"] == 3
    (part,), (fewer,) = replay_parts(texts, recipe), replay_parts(texts, Replay(share=0.2, tokens=64))
    assert part.fingerprint != fewer.fingerprint and fewer.make()["original"].to_list() == ["0" * 32]
    assert not list(replay_parts(texts, None))


def test_rows_that_would_teach_something_wrong_are_counted():
    good = {
        "category": "math",
        "tokens": [10, 11, 40, 12],
        "trained": [False, False, True, True],
        "length": 4,
        "answer_length": 2,
    }
    bad = {
        "lengths": good | {"length": 5},
        "no_end": good | {"tokens": [10, 11, 40, 41]},
        "ends": good | {"tokens": [10, 11, 12, 12]},
        "mask": good | {"trained": [True, False, False, True]},
    }
    for name, row in bad.items():
        frame_ = pl.DataFrame([row], schema_overrides={"tokens": pl.List(pl.Int32)})
        assert audit.broken_rows(frame_.lazy())[name] == 1, name
    assert not any(audit.broken_rows(pl.DataFrame([good]).lazy()).values())


def test_a_long_conversation_is_cut_at_a_turn_and_the_rest_says_why(lake, tokenizer_folder):
    turns = [{"role": role, "content": "word " * 30} for _ in range(3) for role in ("user", "assistant")]
    long = conversation(1) | {"messages": json.dumps(turns), "reasoning": "off"}
    whole, _, _ = encoded(lake, tokenizer_folder, frame([long]))
    assert whole["answer"].to_list() == [0, 1, 2] and whole["original"].n_unique() == 1
    tuning = load_recipe("laptop").align.tuning
    shorter = {name: stage.model_copy(update={"sequence_length": whole["length"][1]}) for name, stage in
               tuning.stages().items()}  # fmt: skip
    rows, rejects, _ = encoded(lake, tokenizer_folder, frame([long]), **shorter)
    assert rows["answer"].to_list() == [0, 1], "the first two turns stay"
    assert [(r.row_id, r.cause) for r in rejects[:1]] == [(long["id"], "longer_than_the_window")]
    assert f"answer 2 and what comes before it have {whole['length'][2]:,} tokens" in rejects[0].detail


def test_what_is_not_a_conversation_is_rejected_with_the_reason(lake, tokenizer_folder):
    wrong = [
        conversation(1, messages="[]"),
        conversation(2, messages=json.dumps([{"role": "assistant", "content": "a </think> b"}])),
        conversation(3, messages="not JSON"),
        conversation(4),
        conversation(5, status="failed"),
    ]
    rows, rejects, _ = encoded(lake, tokenizer_folder, frame(wrong))
    assert rows["parents"].to_list() == [[wrong[3]["id"]]]
    assert {r.row_id: r.cause for r in rejects} == {row["id"]: "not_a_conversation" for row in wrong[:3]}
    assert any("</think>" in r.detail for r in rejects)


def test_an_unchanged_shard_is_not_made_again(lake, tokenizer_folder):
    def fingerprints(rows, **changed):
        return {part.key: part.fingerprint for part in encoded(lake, tokenizer_folder, rows, **changed)[2]}

    first = fingerprints(several())
    assert fingerprints(several()) == first
    more = fingerprints(pl.concat([several(), frame([conversation(99, "tools")])]))
    assert {key for key in first if more[key] != first[key]} == {"tools/full/000000"}
    assert not set(fingerprints(several(), held_out_share=0.5).values()) & set(first.values())
    assert len(fingerprints(several(), tokens_per_shard=1)) == len(first), "a shard has at least one slice of rows"


def test_a_held_out_share_of_the_conversations_is_marked_with_all_copies(lake, tokenizer_folder):
    rows, _, _ = encoded(lake, tokenizer_folder, several(), held_out_share=0.4)
    assert 0 < rows["held_out"].sum() < len(rows)
    assert rows.group_by("original").agg(pl.col("held_out").n_unique())["held_out"].max() == 1
