"""The budget in transformers' generate, on the canned streams and with a model that writes at random."""

import pytest
import torch

from nemotron_assets.chat.budget.automaton import Budget, forced_tokens
from nemotron_assets.chat.budget.tags import Tags, well_formed
from nemotron_assets.chat.budget.transformers_processor import BudgetProcessor
from tests.chat.budget.streams import CASES, END, PROMPT, Model, write


def ids(tokenizer, text):
    return tokenizer.encode(text, add_special_tokens=False).ids


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_canned_streams(letters, case):
    tags = Tags.of(letters)
    prompt, processor = ids(letters, case.prompt), BudgetProcessor(tags, case.budget, case.total)

    def masking(made, logits):
        return processor(torch.tensor([prompt + made]), logits[None])[0]

    stream = [token for piece in case.pieces for token in ids(letters, piece)]
    made = write(
        Model(stream, ids(letters, ".")[0], letters.get_vocab_size()), masking, case.total, letters.token_to_id(END)
    )
    assert "".join(tags.texts[token] for token in made) == case.expected


def test_a_model_that_writes_at_random_keeps_every_budget(student, letters):
    """Prompts of different length, a budget each, two samples of each."""
    tags, end = Tags.of(letters), letters.token_to_id(END)
    texts, budgets = [PROMPT, "<SPECIAL_11>Assistant\n<think>\n"], [Budget(0, 3), Budget(9, 3, 20)]
    prompts = [ids(letters, text) for text in texts]
    longest, pad = max(map(len, prompts)), letters.token_to_id("<pad>")
    batch = torch.tensor([[pad] * (longest - len(prompt)) + prompt for prompt in prompts])
    student.resize_token_embeddings(letters.get_vocab_size())
    made = student.generate(
        batch,
        attention_mask=(batch != pad).long(),
        max_new_tokens=60,
        do_sample=True,
        num_return_sequences=2,
        eos_token_id=end,
        pad_token_id=pad,
        logits_processor=[BudgetProcessor(tags, budgets, 60)],
    )[:, longest:].tolist()
    for row, tokens in enumerate(made):
        text = "".join(tags.texts[token] for token in tokens)
        assert well_formed("<think>\n" + text), text
        tokens = [token for token in tokens if token != pad]
        flags = forced_tokens(tags, budgets[row // 2], prompts[row // 2], tokens, 60)
        assert flags.index(True) <= budgets[row // 2].tokens + 3
        assert "</think>" in "".join(tags.texts[t] for t, forced in zip(tokens, flags, strict=True) if forced)


def test_rows_that_change_are_refused(letters):
    processor = BudgetProcessor(Tags.of(letters), Budget(3, 3), 9)
    scores = torch.zeros(1, letters.get_vocab_size())
    processor(torch.tensor([[11, 40]]), scores)
    with pytest.raises(ValueError, match="do not use beam search"):
        processor(torch.tensor([[12, 40, 41]]), scores)
    with pytest.raises(ValueError, match="2 budgets do not fit 3 rows"):
        BudgetProcessor(Tags.of(letters), [Budget(3, 3)] * 2, 9)(torch.tensor([[1]] * 3), scores)
