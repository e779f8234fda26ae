"""Two ranks that share each sequence equal one process, and long sequences in segments equal short ones at once."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from nemotron_assets.model import mixers
from nemotron_assets.model.nemotron_h import packed_hidden
from nemotron_assets.model.packing import Packing

LENGTH = 96
# Documents that end before, at, and after the boundary between the ranks (48), and one that is on both from end to end.
LENGTHS = [[20, 28, 48], [40, 50], [47, 1, 48], [96], [49, 47], [2, 93]]


def tokens():
    return torch.randint(0, 64, (len(LENGTHS), LENGTH), generator=torch.Generator().manual_seed(3))


def gradients(student, hidden, weight):
    student.zero_grad()
    (hidden * weight).sum().backward()
    return {name: p.grad.clone() for name, p in student.named_parameters() if p.grad is not None}


def weight(length=LENGTH):
    return torch.randn(len(LENGTHS), length, 32, generator=torch.Generator().manual_seed(4))


def close(ours, exact):
    for name, value in exact.items():
        assert (ours[name] - value).abs().max() <= 1e-4 * max(1e-3, value.abs().max()), name


@pytest.mark.parametrize("segment", [17, 48])
def test_segments_equal_the_whole(student, monkeypatch, segment):
    packing = Packing.of(LENGTHS, LENGTH)
    whole = packed_hidden(student, tokens(), packing)
    exact = gradients(student, whole, weight())
    monkeypatch.setattr(mixers, "SEGMENT", segment)
    parts = packed_hidden(student, tokens(), packing)
    assert (parts - whole).abs().max() < 1e-4
    close(gradients(student, parts, weight()), exact)


def test_segments_equal_the_whole_at_8192_tokens(student, monkeypatch):
    """The documents end within a segment, at its end, and after several segments."""
    length = 8192
    packing = Packing.of([[700, 1348, 2048, 4000]], length)
    ids = torch.randint(0, 64, (1, length), generator=torch.Generator().manual_seed(5))
    wanted = torch.randn(1, length, 32, generator=torch.Generator().manual_seed(6))
    whole = packed_hidden(student, ids, packing)
    exact = gradients(student, whole, wanted)
    monkeypatch.setattr(mixers, "SEGMENT", 2048)
    parts = packed_hidden(student, ids, packing)
    assert (parts - whole).abs().max() < 1e-4
    close(gradients(student, parts, wanted), exact)


@pytest.mark.parametrize("segment", [17, 48])
def test_two_ranks_equal_one(small, student, tmp_path, segment):
    """Each rank holds 48 tokens of a sequence: at once, or in segments."""
    packing = Packing.of(LENGTHS, LENGTH)
    whole = packed_hidden(student, tokens(), packing)
    exact = gradients(student, whole, weight())
    torch.save(student.state_dict(), tmp_path / "weights.pt")
    script = (
        "import sys, torch, torch.distributed as dist; torch.set_num_threads(1)\n"
        "from nemotron_assets.model.nemotron_h import empty_model, model_config, packed_hidden\n"
        "from nemotron_assets.model import mixers\n"
        "from nemotron_assets.model.packing import Packing\n"
        "from nemotron_assets.model.parallel import ContextParallel\n"
        "from nemotron_assets.recipe.model import Model\n"
        "from tests.model import test_parallel as t\n"
        "folder, rank, mixers.SEGMENT = sys.argv[1], int(sys.argv[2]), int(sys.argv[4])\n"
        "dist.init_process_group('gloo', init_method='file://' + folder + '/meet', rank=rank, world_size=2)\n"
        "model = empty_model(model_config(Model.model_validate_json(sys.argv[3]), 64, 128)).to_empty(device='cpu')\n"
        "model.load_state_dict(torch.load(folder + '/weights.pt'))\n"
        "parallel = ContextParallel()\n"
        "hidden = packed_hidden(model, parallel.part(t.tokens()), Packing.of(t.LENGTHS, t.LENGTH), parallel)\n"
        "grads = t.gradients(model, hidden, parallel.part(t.weight()))\n"
        "for grad in grads.values(): dist.all_reduce(grad)\n"
        "torch.save((hidden.detach(), grads), f'{folder}/{rank}.pt')\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    ranks = [
        subprocess.Popen([*command, str(rank), small.model_dump_json(), str(segment)], cwd=Path(__file__).parents[2])
        for rank in range(2)
    ]
    assert [rank.wait(timeout=240) for rank in ranks] == [0, 0]
    (left, grads), (right, _) = (torch.load(tmp_path / f"{rank}.pt") for rank in range(2))
    assert (torch.cat([left, right], dim=1) - whole).abs().max() < 1e-4
    assert grads.keys() == exact.keys()
    close(grads, exact)


def test_a_sequence_that_does_not_split_is_refused(monkeypatch):
    from nemotron_assets.model.parallel import ContextParallel

    monkeypatch.setattr("torch.distributed.get_world_size", lambda group: 5)
    monkeypatch.setattr("torch.distributed.get_rank", lambda group: 2)
    assert ContextParallel().bounds(100) == (40, 60)
    with pytest.raises(ValueError, match="sequences of 96 tokens cannot be split into 5 equal parts"):
        ContextParallel().bounds(96)
