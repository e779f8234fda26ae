"""The tokenizer: byte-level BPE, trained on the lake's own text or converted from the 131,072-entry tekken vocabulary.

Both kinds have the same form. The first ids are special tokens, the others are byte-level pieces. A case-aware
pre-tokenizer splits the text; every digit is a piece of its own. No token is added before or after the text, because
base data is packed without BOS. Text is always encoded without special tokens: a web page that contains "</s>" must not
end a document.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from nemotron_assets.recipe.tokenizer import Tokenizer as Recipe

NAMED_SPECIALS = ("<unk>", "<s>", "</s>", "<mask>", "<pad>", "<cls>", "<sep>")
UNK, BOS, EOS, PAD = 0, 1, 2, 4
MEASURE_MB = 1  # amount of text on which bytes per token are measured, in MB
#: Stored with each tokenizer. nemotron_assets/chat/template.py says what it does.
CHAT_TEMPLATE = Path(__file__).parents[1] / "chat" / "chat_template.jinja"

_LEAD = r"[^\r\n\p{L}\p{N}]"  # a space or sign before a word belongs to the word
_UPPER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"  # letters without case count as upper and as lower case
_LOWER = r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
#: Behaviour "v2" of the published pre-tokenizer, without a special case for English contractions. Do not rewrite the
#: alternatives: gigatoken recognises the expression by its text.
PATTERN = "|".join(
    (
        rf"{_LEAD}?{_UPPER}*{_LOWER}+",  # "HelloWorld" -> "Hello" "World"
        rf"{_LEAD}?{_UPPER}+{_LOWER}*",  # "HTTP2" -> "HTTP" "2"
        r"\p{N}",  # every digit is its own token
        r" ?[^\s\p{L}\p{N}]+[\r\n/]*",  # punctuation with the newlines and slashes after it
        r"\s*[\r\n]+",  # runs of newlines with the white space before them
        r"\s+(?!\S)",  # spaces, except the last one, which belongs to the next word
        r"\s+",
    )
)


def special_tokens(count: int) -> list[str]:
    """The names of the first `count` ids: seven named tokens, then <SPECIAL_7>, <SPECIAL_8>, ...; id k is <SPECIAL_k>.

    Raises ValueError for fewer than 13 tokens.
    """
    if count < len(NAMED_SPECIALS) + 6:
        raise ValueError(f"{count} special tokens are too few: the chat template uses ids up to 12, so at least 13")
    return [*NAMED_SPECIALS, *(f"<SPECIAL_{k}>" for k in range(len(NAMED_SPECIALS), count))]


def _byte_level(model: models.BPE, pattern: str, specials: Sequence[str]) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False, trim_offsets=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(specials))
    return tokenizer


def train(batches: Iterable[list[str]], vocabulary: int, specials: int, min_frequency: int) -> Tokenizer:
    """Train a BPE of at most `vocabulary` entries, including `specials` special tokens, on batches of texts.

    Training is deterministic: pairs with equal counts are merged in the order of their ids. Only the counts of words
    stay in memory. With little text the vocabulary is smaller, because a pair must occur `min_frequency` times to be
    merged.
    """
    names = special_tokens(specials)
    # Special tokens are given to the trainer only, so "</s>" in a text is ordinary text during training.
    tokenizer = _byte_level(models.BPE(), PATTERN, ())
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        min_frequency=min_frequency,
        special_tokens=names,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(batches, trainer)
    return tokenizer


def from_tekken(path: Path, vocabulary: int, specials: int) -> Tokenizer:
    """Convert a tekken file (byte pieces in order of rank) into a tokenizer of exactly `vocabulary` entries.

    tiktoken merges the two neighbours that form the piece of lowest rank, and it leaves text that is a piece of the
    vocabulary whole. A list of merges gives the same result if it holds, in the order of the pieces' ranks, every way
    to split a piece into two pieces of the vocabulary, and if whole pieces are looked up first (`ignore_merges`).
    Raises ValueError for any other file.
    """
    try:
        data = json.loads(path.read_text("utf-8"))
        pieces = [base64.b64decode(entry["token_bytes"]) for entry in data["vocab"][: vocabulary - specials]]
        pattern = data["config"]["pattern"]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path} is not a tekken vocabulary, a JSON file with the keys vocab and config ({error!r})"
        ) from error
    if len(pieces) != vocabulary - specials:
        raise ValueError(
            f"{path} has {len(pieces)} pieces, but a vocabulary of {vocabulary} with {specials} special tokens needs "
            f"{vocabulary - specials}: lower tokenizer.vocabulary"
        )

    rank = {piece: k for k, piece in enumerate(pieces)}
    letters = byte_letters()
    spelled = ["".join(map(letters.__getitem__, piece)) for piece in pieces]
    merges = []
    for piece, text in zip(pieces, spelled, strict=True):
        cuts = [k for k in range(1, len(piece)) if piece[:k] in rank and piece[k:] in rank]
        cuts.sort(key=lambda k: (rank[piece[:k]], rank[piece[k:]]))
        merges.extend((text[:k], text[k:]) for k in cuts)
    names = special_tokens(specials)
    vocab = {name: k for k, name in enumerate(names)} | {text: specials + k for k, text in enumerate(spelled)}
    return _byte_level(models.BPE(vocab=vocab, merges=merges, ignore_merges=True), pattern, names)


def byte_letters() -> dict[int, str]:
    """Byte -> the printable character that represents it in a byte-level vocabulary (GPT-2's table)."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {byte: chr(256 + k) for k, byte in enumerate(others)}


def tekken_file() -> Path:
    """The file of the tekken vocabulary in the package mistral-common."""
    import mistral_common

    return Path(mistral_common.__file__).parent / "data" / "tekken_240911.json"


def save(tokenizer: Tokenizer, directory: Path, sequence_length: int) -> None:
    """Write a Hugging Face tokenizer directory: tokenizer.json, tokenizer_config.json, chat_template.jinja."""
    from transformers import PreTrainedTokenizerFast

    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        mask_token="<mask>",
        cls_token="<cls>",
        sep_token="<sep>",
        clean_up_tokenization_spaces=False,
        model_max_length=sequence_length,
        chat_template=CHAT_TEMPLATE.read_text("utf-8"),
    ).save_pretrained(directory)


def load(directory: Path) -> Tokenizer:
    """The tokenizer of a saved directory, set up for data: "</s>" in a text does not become a special token."""
    tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    tokenizer.encode_special_tokens = True
    return tokenizer


def encode(tokenizer: Tokenizer, text: str) -> list[int]:
    """The token ids of one text, without any added tokens."""
    return tokenizer.encode(text, add_special_tokens=False).ids


def decode(tokenizer: Tokenizer, ids: Sequence[int]) -> str:
    """The text of token ids; special tokens appear by name, as "</s>"."""
    return tokenizer.decode(ids, skip_special_tokens=False)


def make(recipe: Recipe, batches: Iterable[list[str]]) -> tuple[Tokenizer, int, int]:
    """(the recipe's tokenizer, number of texts, number of bytes it was trained on); tekken is not trained: 0 and 0."""
    if recipe.kind == "tekken":
        return from_tekken(tekken_file(), recipe.vocabulary, recipe.special_tokens), 0, 0
    counted = _Counted(batches)
    made = train(counted, recipe.vocabulary, recipe.special_tokens, recipe.min_frequency)
    return made, counted.documents, counted.bytes


def bytes_per_token(tokenizer: Tokenizer, batches: Iterable[list[str]]) -> float:
    """Bytes of UTF-8 per token over all texts. Raises ValueError if there are no texts."""
    counted, tokens = _Counted(batches), 0
    for batch in counted:
        tokens += sum(len(e.ids) for e in tokenizer.encode_batch_fast(batch, add_special_tokens=False))
    if not tokens:
        raise ValueError(
            "there is no text to make a tokenizer for: web.unique_documents has no document outside the held-out share"
        )
    return counted.bytes / tokens


@dataclass
class _Counted:
    """Iterates over batches of texts and counts the texts and bytes."""

    batches: Iterable[list[str]]
    documents: int = 0
    bytes: int = 0

    def __iter__(self) -> Iterator[list[str]]:
        for batch in self.batches:
            self.documents += len(batch)
            self.bytes += sum(len(text.encode()) for text in batch)
            yield batch
