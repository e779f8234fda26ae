"""Passages: segments are whole lines within the limits, of the documents that the recipe asks for."""

from __future__ import annotations

import itertools

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemotron_assets.recipe import RecipeError, load_recipe
from nemotron_assets.web.synthetic.passages import passages, room, segments
from tests.web.synthetic.canned import animals, words

LIMITS = load_recipe("nano2").web.rephrased.wikipedia


def _limits(**changes):
    return LIMITS.model_copy(update=changes)


def _segments(text, room, **changes):
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    return segments("d", lines, words(lines), room, _limits(**changes))


lines = st.text(st.sampled_from("ab c\t"), max_size=40)


@given(st.lists(lines), st.integers(1, 30), st.integers(1, 10), st.integers(1, 10))
def test_segments_are_whole_lines_in_order_within_their_limits(given_lines, room, document, least):
    parts = _segments("\n".join(given_lines), room, min_document_tokens=document, min_segment_tokens=least)
    assert [part.number for part in parts] == list(range(len(parts)))
    for part in parts:
        assert least <= part.tokens <= room
        assert part.tokens == sum(words(part.text.split("\n"))) + part.text.count("\n")
    kept = iter(line.strip() for line in given_lines)
    assert all(line in kept for part in parts for line in part.text.split("\n"))  # a subsequence


def test_segments_drop_what_the_recipe_drops():
    text = "one two three\n\nfour five\n" + "long " * 11 + "\nsix\nseven eight nine ten"
    joined = ["one two three\nfour five\nsix", "seven eight nine ten"]
    few = {"min_document_tokens": 3, "min_segment_tokens": 2}
    assert [part.text for part in _segments(text, 10, **few)] == joined
    assert [part.text for part in _segments(text, 10, **few, max_segments=1)] == joined[:1]
    assert _segments(text, 10, min_document_tokens=100, min_segment_tokens=2) == []
    assert [part.text for part in _segments(text, 10, min_document_tokens=3, min_segment_tokens=5)] == joined[:1]


def test_neighbours_are_joined_as_long_as_they_fit():
    """A segment and the first line of the next one never fit into one segment."""
    text = "\n".join("w " * (i % 7 + 1) for i in range(60))
    parts = _segments(text, 12, min_document_tokens=1, min_segment_tokens=1)
    for part, following in itertools.pairwise(parts):
        assert part.tokens + 1 + words([following.text.split("\n")[0]])[0] > 12


def _chosen(documents, prompts):
    found = passages(documents.lazy(), prompts, dict.fromkeys(prompts, 200), words)
    return [(p.prompt, p.document["text"].split()[1]) for p in found]


def test_levels_and_numbers_of_documents_are_the_recipes():
    high, low = animals("fox", "owl", "carp", "newt"), animals("hare", "toad", level="low")
    documents = pl.concat([high, low, animals("crow", level="medium")])
    first = high.sort("content_hash")["text"].str.split(" ").list.get(1).to_list()
    prompts = {
        "wikipedia": _limits(documents={"high": 2, "low": None}),
        "distill": _limits(documents={"high": 3}),
        "extract_knowledge": _limits(documents={"high": 2}),
    }
    chosen = _chosen(documents, prompts)
    by_prompt = {name: [animal for prompt, animal in chosen if prompt == name] for name in prompts}
    assert by_prompt == {
        "wikipedia": [*first[:2], "hare", "toad"],
        "distill": first[:3],
        "extract_knowledge": first[:2],
    }
    assert sorted(chosen) == sorted(_chosen(documents.reverse(), prompts))
    assert len(_chosen(documents, {"distill": _limits(documents={"high": None})})) == 4


def test_documents_without_a_passage_do_not_count():
    """The five documents with the lowest hashes are one long line each. The recipe wants one document, and gets one."""
    documents = animals(*(f"bird{i}" for i in range(10)), lines=1).sort("content_hash").with_row_index()
    documents = documents.with_columns(
        text=pl.when(pl.col("index") < 5).then(pl.lit("word " * 300)).otherwise(pl.col("text"))
    ).drop("index")
    assert len(_chosen(documents, {"distill": _limits(documents={"high": 1})})) == 1


def test_room_is_what_the_prompt_leaves():
    assert room("wikipedia", LIMITS, 100) == 512 - 100 - 2
    with pytest.raises(RecipeError, match="wikipedia has 508 tokens without a passage, which leaves 2"):
        room("wikipedia", LIMITS, 508)
