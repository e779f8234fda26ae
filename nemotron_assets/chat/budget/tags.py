"""Finds the tags of thoughts and tool calls in token ids.

A tag is seldom one token. The tokenizers of this project write "<think>" as several tokens, and its last token may hold
more than the tag: "</think>" and two newlines end with the token ">\\n\\n", a sentence before it may end with ".</".
So tags are found in the text of the tokens, whatever the borders of the tokens are.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tokenizers import Tokenizer

OPEN, CLOSE = "<think>", "</think>"
CALL, CALL_END = "<TOOLCALL>", "</TOOLCALL>"
TAGS = (OPEN, CLOSE, CALL, CALL_END)
#: What closes a thought by force: the answer begins after an empty line, as in the client of the model card.
CLOSE_TEXT = CLOSE + "\n\n"
TURN, END_OF_TURN = "<SPECIAL_11>", "<SPECIAL_12>"

_TAG = re.compile("|".join(map(re.escape, TAGS)))
_LONGEST = max(map(len, TAGS))


class Tags:
    """What the budget needs to know about a tokenizer.

    `texts` has the text of every token id. `ends` are the ids that end an answer. `turn` is the id that begins a turn:
    of a prompt only the tokens after the last one are read, so a tag in a question is not taken for a thought.
    """

    def __init__(self, texts: Sequence[str], tokenizer: Tokenizer, ends: Collection[int], turn: int | None) -> None:
        self.texts, self.ends, self.turn = texts, frozenset(ends), turn
        self._tokenizer = tokenizer
        self._closing = [token for token, text in enumerate(texts) if ">" in text]
        self._written: dict[str, tuple[int, ...]] = {}
        self._variants: dict[frozenset[int], Tags] = {}
        self.banned: dict[tuple, tuple[int, ...]] = {}  # what the automaton has found out, by its state

    @classmethod
    def of(cls, tokenizer: Any, ends: Iterable[int] = ()) -> Tags:
        """The tags in the tokens of a `tokenizers.Tokenizer`, or of a fast tokenizer of transformers.

        An answer ends with `ends`, with the end-of-turn token, and with the end-of-text token of a tokenizer of
        transformers. Raises ValueError for a tokenizer without a fast form, and where the tokens of a tag do not give
        the text of the tag again.
        """
        fast = getattr(tokenizer, "backend_tokenizer", tokenizer)
        if not hasattr(fast, "decode_batch"):
            raise ValueError(
                f"{type(tokenizer).__name__} has no fast form (tokenizer.json): the budget reads its tokens"
            )
        texts = fast.decode_batch([[token] for token in range(fast.get_vocab_size())], skip_special_tokens=False)
        known = {fast.token_to_id(END_OF_TURN), getattr(tokenizer, "eos_token_id", None), *ends}
        tags = cls(texts, fast, {token for token in known if token is not None}, fast.token_to_id(TURN))
        _ = tags.longest_close, tags.longest_call_end
        return tags

    def with_ends(self, ends: Iterable[int]) -> Tags:
        """The same tags, where an answer may end with more tokens."""
        if self.ends.issuperset(ends):
            return self
        more = frozenset(ends) | self.ends
        if more not in self._variants:
            self._variants[more] = other = copy.copy(self)
            other.ends, other.banned = more, {}
        return self._variants[more]

    def text(self, token: int) -> str:
        """The text of a token; "" beyond the vocabulary, where a model may have padding."""
        return self.texts[token] if token < len(self.texts) else ""

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of tokens, which may share the bytes of a letter."""
        return self._tokenizer.decode(list(tokens), skip_special_tokens=False)

    @cached_property
    def longest_close(self) -> int:
        """The most tokens that a close needs, whatever part of it is written already."""
        texts = ["\n" + CLOSE_TEXT, *(CLOSE_TEXT[k:] for k in range(len(CLOSE)))]
        return max(len(self.written(text)) for text in texts)

    @cached_property
    def longest_call_end(self) -> int:
        """The most tokens that the end of a tool call needs."""
        return max(len(self.written(CALL_END[k:])) for k in range(len(CALL_END)))

    def written(self, text: str) -> tuple[int, ...]:
        """The tokens that write a text after any other text. Raises ValueError where they do not give it again."""
        if text not in self._written:
            ids = tuple(self._tokenizer.encode(text, add_special_tokens=False).ids)
            if (read := "".join(self.texts[token] for token in ids)) != text:
                raise ValueError(f"the tokenizer writes {text!r} as {read!r}, so a thought cannot be closed with it")
            self._written[text] = ids
        return self._written[text]

    def read(self, pending: str, token: int) -> tuple[str, tuple[str, ...]]:
        """The unfinished tag after a token ("" for none), and the tags that the token completes, where `pending` is
        the unfinished tag before it."""
        text = self.text(token)
        if not pending and "<" not in text:
            return "", ()
        return _read(pending + text)

    def completing(self, pending: str) -> Iterator[tuple[int, tuple[str, ...]]]:
        """The tokens that complete tags after the unfinished tag `pending`, with the tags."""
        for token in self._closing:
            _, found = self.read(pending, token)
            if found:
                yield token, found


@lru_cache(maxsize=65_536)
def _read(text: str) -> tuple[str, tuple[str, ...]]:
    """The complete tags of a text, and the unfinished tag at its end."""
    found, end = [], 0
    for match in _TAG.finditer(text):
        found.append(match.group())
        end = match.end()
    start = text.rfind("<", end)
    last = text[start:] if start >= 0 and len(text) - start < _LONGEST else ""
    return (last if last and any(tag.startswith(last) for tag in TAGS) else ""), tuple(found)


def well_formed(text: str) -> bool:
    """Whether a turn of an assistant, with the beginning that the prompt gave it, has exactly one pair of thinking
    tags, the close after the open, and not between the tags of a tool call."""
    tags, in_call = [], False
    for match in _TAG.finditer(text):
        tag = match.group()
        if tag in (OPEN, CLOSE):
            tags.append(tag)
            if in_call:
                return False
        else:
            in_call = tag == CALL
    return tags == [OPEN, CLOSE]
