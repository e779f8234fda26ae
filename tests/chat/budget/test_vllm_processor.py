"""The budget against both interfaces of vLLM: canned streams in batches whose rows move, and real vLLM on a CPU."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from nemotron_assets.chat.budget.tags import Tags
from tests.chat.budget.streams import CASES, END, PROMPT, Model

vllm = pytest.importorskip("vllm")

from vllm import SamplingParams  # noqa: E402
from vllm.v1.sample.logits_processor.interface import BatchUpdate, MoveDirectionality  # noqa: E402
from vllm.v1.worker.gpu.sample.logits_processor.interface import LogitsContext, LogitsProcRequestState  # noqa: E402

from nemotron_assets.chat.budget.vllm_processor import ThinkingBudget, budget_of  # noqa: E402

_LENGTH = 600


def ids(tokenizer, text):
    return tokenizer.encode(text, add_special_tokens=False).ids


class Request:
    """A canned stream as a request to vLLM."""

    def __init__(self, case, tokenizer) -> None:
        stream = [token for piece in case.pieces for token in ids(tokenizer, piece)]
        own = {"thinking_budget": case.budget.tokens, "answer_room": case.budget.answer_room}
        self.case, self.prompt, self.made = case, ids(tokenizer, case.prompt), []
        self.end = tokenizer.token_to_id(END)
        self.params = SamplingParams(max_tokens=case.total, extra_args=own | {"thinking_grace": case.budget.grace})
        self.model = Model(stream, ids(tokenizer, ".")[0], tokenizer.get_vocab_size())

    @property
    def done(self) -> bool:
        return len(self.made) == self.case.total or self.made[-1:] == [self.end]


@pytest.fixture
def config(letters, monkeypatch):
    monkeypatch.setattr("vllm.tokenizers.cached_tokenizer_from_config", lambda model_config: letters)
    return SimpleNamespace(additional_config={}, model_config=SimpleNamespace(max_model_len=_LENGTH))


@pytest.fixture
def requests(letters):
    return [Request(case, letters) for case in CASES]


def check(requests, letters):
    texts = Tags.of(letters).texts
    assert {r.case.name: "".join(texts[t] for t in r.made) for r in requests} == {
        r.case.name: r.case.expected for r in requests
    }


def test_canned_streams_in_the_v1_runner(config, requests, letters):
    """All streams in one batch, with a request without a budget. When a request ends, the last one takes its row."""
    processor = ThinkingBudget(config, torch.device("cpu"), False)
    free = SamplingParams(max_tokens=9)
    added = [(row, r.params, r.prompt, r.made) for row, r in enumerate(requests)]
    rows = [*requests, None]
    update = BatchUpdate(len(rows), removed=[], added=[*added, (len(requests), free, [11, 40], [])], moved=[])
    while any(rows):
        processor.update_state(update)
        for request in filter(None, rows):
            if request.made:
                request.made[-1], request.held = request.held, None  # the token has arrived from the device
        logits = torch.stack([r.model.logits() if r else torch.zeros(letters.get_vocab_size()) for r in rows])
        masked = processor.apply(logits.clone())
        assert all(r or torch.equal(masked[row], logits[row]) for row, r in enumerate(rows))
        ended = []
        for row, request in enumerate(rows):
            if request is None:
                continue
            request.held = request.model.choose(masked[row])
            request.made.append(request.held)
            if request.done:
                ended.append(row)
            else:
                request.made[-1] = -1  # asynchronous scheduling: the token is not known yet
        removed, moved = list(ended), []
        for row in reversed(ended):
            last = len(rows) - 1
            if row != last:
                moved.append((last, row, MoveDirectionality.UNIDIRECTIONAL))
            rows[row] = rows[last]
            rows.pop()
        if len(rows) > 1:
            moved.append((0, len(rows) - 1, MoveDirectionality.SWAP))
            rows[0], rows[-1] = rows[-1], rows[0]
        update = BatchUpdate(len(rows), removed=removed, added=[], moved=moved)
        if rows == [None]:
            break
    check(requests, letters)


class Device:
    """The states that the V2 runner shares with processors, for slots in any order."""

    def __init__(self, slots: int) -> None:
        self.tokens, self.lengths = torch.full((slots, _LENGTH), -7), torch.zeros(slots, dtype=torch.int32)
        self.prompts = np.zeros(slots, dtype=np.int32)
        self.states = LogitsProcRequestState(
            device=torch.device("cpu"),
            max_num_reqs=slots,
            vocab_size=0,
            all_token_ids=SimpleNamespace(gpu=self.tokens),
            prompt_len=SimpleNamespace(np=self.prompts),
            prefill_len=None,
            total_len=SimpleNamespace(gpu=self.lengths),
        )

    def put(self, slot: int, request: Request) -> None:
        tokens = request.prompt + request.made
        self.tokens[slot, : len(tokens)] = torch.tensor(tokens)
        self.lengths[slot], self.prompts[slot] = len(tokens), len(request.prompt)


def context(slots, places, inputs):
    """A batch with these slots, one per row of logits."""
    own = list(dict.fromkeys(slots))
    tensor = torch.tensor
    return LogitsContext(tensor(slots), tensor(own), np.array(own), tensor(places), tensor(inputs), None, None)


@pytest.mark.parametrize("drafts", [0, 3])
def test_canned_streams_in_the_v2_runner(config, requests, letters, drafts):
    """A slot per request, in the other order than the rows; a request is preempted and resumed in another slot. With
    drafts every row of logits stands for the token after a draft."""
    device = Device(2 * len(requests) + 1)
    processor = ThinkingBudget(config, device.states)
    slot_of = {id(r): len(requests) - n for n, r in enumerate(requests)}
    for request in requests:
        assert processor.add_request(slot_of[id(request)], request.params)
    assert not processor.add_request(0, SamplingParams(max_tokens=9))
    step = 0
    while running := [r for r in requests if not r.done]:
        step += 1
        if step == 5:
            slot_of[id(running[0])] += len(requests)
            processor.add_request(slot_of[id(running[0])], running[0].params)
        slots, places, inputs, guesses = [0], [0], [40], []
        for request in running:
            device.put(slot_of[id(request)], request)
            guess = request.model.ids[request.model.place :][: min(drafts, request.case.total - len(request.made) - 1)]
            guesses.append(guess)
            slots += [slot_of[id(request)]] * (len(guess) + 1)
            places += range(len(guess) + 1)
            inputs += [(request.prompt + request.made)[-1], *guess]
        rows = [torch.zeros(letters.get_vocab_size())]
        for request, guess in zip(running, guesses, strict=True):
            place = request.model.place
            for ahead in range(len(guess) + 1):
                request.model.place = place + ahead
                rows.append(request.model.logits())
            request.model.place = place
        masked = processor.apply(torch.stack(rows), context(slots, places, inputs))
        assert not masked[0].any(), "a request without a budget is left alone"
        row = 1
        for request, guess in zip(running, guesses, strict=True):
            for n in range(len(guess) + 1):
                token = request.model.choose(masked[row + n])
                request.made.append(token)
                if request.done or guess[n : n + 1] != [token]:  # a draft that was not chosen ends the step
                    break
            row += len(guess) + 1
    check(requests, letters)


def test_arguments_of_requests_are_checked():
    ThinkingBudget.validate_params(SamplingParams(extra_args={"thinking_budget": 5}))
    with pytest.raises(ValueError, match="tokens of a thinking budget is 'many'"):
        ThinkingBudget.validate_params(SamplingParams(extra_args={"thinking_budget": "many"}))
    with pytest.raises(ValueError, match=r"give thinking_budget in vllm_xargs instead"):
        ThinkingBudget.validate_params(SamplingParams(thinking_token_budget=9))
    with pytest.raises(
        ValueError, match="patience in additional_config: thinking_budget has tokens, grace, answer_room"
    ):
        budget_of(SamplingParams(), {"patience": 3})
    assert budget_of(SamplingParams(), {"grace": 500}) is None
    assert budget_of(SamplingParams(extra_args={"thinking_budget": 5}), {"tokens": 7, "grace": 500}).tokens == 5


def test_tokens_that_end_a_request_cannot_end_its_thought(config, letters):
    """Every end that the engine knows of, for example those of the model's generation configuration."""
    processor = ThinkingBudget(config, torch.device("cpu"), False)
    params = SamplingParams(max_tokens=50, stop_token_ids=[41], extra_args={"thinking_budget": 9})
    update = BatchUpdate(1, removed=[], added=[(0, params, ids(letters, PROMPT), [])], moved=[])
    processor.update_state(update)
    masked = processor.apply(torch.zeros(1, letters.get_vocab_size()))[0]
    assert torch.isinf(masked).nonzero().flatten().tolist() == [12, 41]
