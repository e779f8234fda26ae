"""Tags are found in the text of tokens, whatever the borders of the tokens are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemotron_assets.chat.budget.tags import TAGS, Tags, well_formed


def read(tags, ids):
    pending, found = "", []
    for token in ids:
        pending, more = tags.read(pending, token)
        found += more
    return pending, found


@pytest.mark.parametrize("text", ["a.</think>\n\nb<TOOLCALL>[]</TOOLCALL>\n<think>", "x<</think>", "<th<think></thin"])
def test_every_tokenizer_gives_the_same_tags(tokenizer, text):
    _, found = read(Tags.of(tokenizer), tokenizer.encode(text, add_special_tokens=False).ids)
    expected = {"a": ["</think>", "<TOOLCALL>", "</TOOLCALL>", "<think>"], "x": ["</think>"], "<": ["<think>"]}
    assert found == expected[text[0]]


_PARTS = st.lists(st.one_of(st.sampled_from([*TAGS, "<", ">", "</", "think", "\n"]), st.text("ab<>/ \n", max_size=4)))


@given(parts=_PARTS, cuts=st.lists(st.integers(1, 12), max_size=40))
def test_borders_of_tokens_do_not_matter(parts, cuts):
    """The tags of a text that is cut into tokens at random are those of the text in one piece."""
    text, pieces = "".join(parts), []
    for cut in cuts:
        pieces, text = [*pieces, text[:cut]], text[cut:]
    pieces.append(text)
    tags = Tags(pieces, None, (), None)
    whole = Tags(["".join(pieces)], None, (), None)
    assert read(tags, range(len(pieces))) == read(whole, [0])


def test_a_padded_vocabulary_has_tokens_without_text(letters):
    assert Tags.of(letters).read("<", 10**6) == ("<", ())


def test_a_tokenizer_that_cannot_write_the_close_is_refused(letters):
    with pytest.raises(ValueError, match="has no fast form"):
        Tags.of(object())
    texts = ["?"] * letters.get_vocab_size()
    with pytest.raises(ValueError, match="a thought cannot be closed"):
        Tags(texts, letters, (), None).written("</think>")


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("<think>\na\n</think>\n\nb", True),
        ("<think></think>b", True),
        ("<think>\na", False),
        ("a</think>", False),
        ("a", False),
        ("</think><think>", False),
        ("<think>a</think>b</think>", False),
        ("<think>a</think>b<think>", False),
        ("<think><think>a</think>", False),
        ("<think><TOOLCALL>[]</TOOLCALL></think>", True),
        ("<think><TOOLCALL>[</think>]</TOOLCALL>", False),
    ],
)
def test_well_formed(text, right):
    assert well_formed(text) is right
