"""Pieces of a text, the most similar snippets, and the forms that answers must have."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemotron_assets.recipe import load_recipe
from nemotron_assets.recipe.section import RecipeError
from nemotron_assets.sft.academic import neighbours, prompts
from nemotron_assets.sft.academic.chunks import chunks
from nemotron_assets.sft.academic.longdoc import chosen_pieces, with_pairs
from nemotron_assets.sft.academic.neighbours import nearest
from nemotron_assets.sft.academic.prompts import Question
from nemotron_assets.sft.academic.snippets import passages
from nemotron_assets.sft.answers import Fault

ACADEMIC = load_recipe("laptop").sft.academic


def characters(texts):
    """The number of characters of each text, instead of tokens."""
    return [len(text) for text in texts]


@given(st.text("ab \n", max_size=300), st.integers(1, 40))
def test_pieces_fit_and_lose_no_character_but_white_space(text, most):
    pieces = chunks(text, characters, most)
    assert all(0 < len(piece) <= most for piece in pieces)
    assert "".join("".join(pieces).split()) == "".join(text.split())


def test_lines_stay_whole_if_they_fit():
    assert chunks("one two\nthree\n\nfour", characters, 13) == ["one two\nthree", "four"]
    assert chunks("a long line of words\nand", characters, 11) == ["a long line", "of words", "and"]
    assert chunks("abcdefgh", characters, 3) == ["ab", "cd", "ef", "gh"], "without blanks, between characters"


@given(st.text("ab \n", max_size=300), st.integers(2, 40))
def test_every_piece_is_a_part_of_the_text(text, most):
    place = 0
    for piece in chunks(text, characters, most):
        place = text.index(piece, place) + len(piece)


def by_hand(vectors, owners, query, most):
    cosines = vectors @ vectors[query]
    rows = [row for row in range(len(vectors)) if owners[row] != owners[query]]
    return sorted(rows, key=lambda row: (-cosines[row], row))[:most]


@given(st.integers(1, 60), st.integers(1, 8), st.integers(0, 7), st.integers(0, 10_000))
def test_the_nearest_are_those_of_a_search_by_hand(count, documents, most, seed):
    draw = np.random.default_rng(seed)
    vectors = draw.normal(size=(count, 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    owners = draw.integers(0, documents, count)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neighbours, "_BLOCK", 7)
        patch.setattr(neighbours, "_QUERIES", 3)
        found = nearest(vectors, owners, range(count), most)
    for query, pairs in enumerate(found):
        assert [row for row, _ in pairs] == by_hand(vectors, owners, query, most)


def test_documents_are_searched_in_groups_of_a_bounded_size():
    documents = pl.LazyFrame(
        [
            {"id": f"d{k}", "language": "en", "subject": "physics", "level": "graduate", "origin_hash": "h",
             "text": f"text number {k} " * 20}
            for k in range(8)
        ]
    )  # fmt: skip
    sizes = []

    def embed(texts):
        sizes.append(len(texts))
        return np.eye(len(texts), 32, dtype=np.float32)

    numbers = ACADEMIC.qa.model_copy(
        update={"snippets_per_search": 8, "max_documents": None, "passages_per_document": None, "neighbours": 50}
    )
    found = list(passages(documents, numbers, characters, embed))
    assert sizes == [8, 8] and len(found) == 16
    for passage in found:
        assert all(snippet.document != passage.document["id"] for snippet, _ in passage.similar)


LIMITS = ACADEMIC.qa.model_copy(update={"max_line": 60})


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("free_response", "Question: Why is ice lighter?\nAnswer: It has gaps.\nJustification: Bonds hold gaps open.",
         Question("Why is ice lighter?", "It has gaps.", (), "Bonds hold gaps open.")),
        ("longdoc_qa", "Question: Who wrote it?\nAnswer: Ann.", Question("Who wrote it?", "Ann.")),
        ("multiple_choice",
         "Question: Two and two?\nAnswer: 4\nWrong: 3\nWrong: 5\nWrong: 6\nJustification: Count them.",
         Question("Two and two?", "4", ("3", "5", "6"), "Count them.")),
        ("free_response", "Question: Why?\nJustification: Because.\nAnswer: So.", "unparsable"),
        ("free_response", "Question: Why is ice lighter?\nAnswer: \nJustification: Bonds.", "unparsable"),
        ("longdoc_qa", "Question: Who wrote it?\nAnswer: Ann.\nStatus: judged", "unparsable"),
        ("longdoc_qa", "Question: What does the passage say?\nAnswer: Much.", "not_self_contained"),
        ("longdoc_qa", "Question: Who wrote it?\nAnswer: " + "a b " * 20, "truncated"),
        ("longdoc_qa", "", "unparsable"),
    ],
)  # fmt: skip
def test_an_answer_has_exactly_its_lines(kind, text, expected):
    found = prompts.parse(kind, text, LIMITS)
    assert (found.cause if isinstance(found, Fault) else found) == expected


@pytest.mark.parametrize(
    ("text", "verdict"),
    [("Yes", True), ("yes.", True), (" No\n", False), ("Yes and no", None), ("", None), ("Yes!!", None), ("YES", True)],
)
def test_a_verdict_is_one_word(text, verdict):
    assert prompts.verdict(text) is verdict


def test_a_share_of_the_pieces_is_chosen_the_same_in_every_run():
    numbers = ACADEMIC.longdoc.model_copy(update={"chunk_share": 0.1})
    chosen = chosen_pieces("d", 40, numbers)
    assert len(chosen) == 4 == len(set(chosen)) and chosen == sorted(chosen) == chosen_pieces("d", 40, numbers)
    assert len(chosen_pieces("d", 3, numbers)) == 1 and chosen != chosen_pieces("e", 40, numbers)


def test_pairs_follow_the_document():
    assert with_pairs("Text.", [("Who?", "Ann."), ("When?", "1912.")]) == (
        "Text.\n\nQuestion: Who?\nAnswer: Ann.\n\nQuestion: When?\nAnswer: 1912."
    )


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [("qa: {votes: 1}", None, "one vote is not a majority"),
     ("longdoc: {max_document_tokens: 1000}", None, "max_document_tokens 1000 is less than min_document_tokens 2048"),
     ("documents: {sources: {web.documents: {max_documents: 1}}}", None, "web.documents")],
)  # fmt: skip
def test_a_recipe_that_cannot_work_is_refused(tmp_path, key, value, message):
    file = tmp_path / "r.yaml"
    file.write_text(f"extends: laptop\nsft: {{academic: {{{key}}}}}\n")
    with pytest.raises(RecipeError, match=message):
        load_recipe(str(file))
