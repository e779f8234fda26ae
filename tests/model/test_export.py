"""An exported model: what its folder holds, and that transformers and vLLM compute what the training computed."""

from __future__ import annotations

import json
import math

import pytest
import torch

from nemotron_assets.model import export
from nemotron_assets.model.nemotron_h import attach, empty_model, load_report, model_config, packed_hidden
from nemotron_assets.model.packing import Packing
from nemotron_assets.recipe import load_recipe
from tests.model import exported

TOLERANCE = 1e-4  # of a log-probability
LENGTHS = (150, 61, 33)  # the first document is longer than two chunks of the scan


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The exported folder of a model with the laptop's shape."""
    made = tmp_path_factory.mktemp("export") / "model"
    exported.write(made)
    return made


@pytest.fixture(scope="module")
def plain(folder):
    """The model as transformers loads it, without code of this project."""
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder).eval()


@pytest.fixture(scope="module")
def attached(folder):
    """The same model with packing."""
    from transformers import AutoModelForCausalLM

    return attach(AutoModelForCausalLM.from_pretrained(folder).eval())


@pytest.fixture(scope="module")
def documents():
    return [exported.tokens(length, seed) for seed, length in enumerate(LENGTHS)]


@torch.no_grad()
def alone(model, document: list[int]) -> torch.Tensor:
    """The log-probabilities after each token of a document, in a batch of its own."""
    return model(torch.tensor([document]), use_cache=False).logits[0].log_softmax(-1)


@torch.no_grad()
def packed(model, documents: list[list[int]]) -> list[torch.Tensor]:
    """The same for documents that are packed into one sequence, with ten tokens of padding at its end."""
    lengths = [len(document) for document in documents]
    tokens = torch.tensor([[token for document in [*documents, [4] * 10] for token in document]])
    packing = Packing.of([lengths], tokens.shape[1])
    logits = model.lm_head(packed_hidden(model, tokens, packing))[0]
    return [rows.log_softmax(-1) for rows in logits.split([*lengths, 10])[:-1]]


def changed(document: list[int]) -> list[int]:
    """The document with another last token."""
    return [*document[:-1], document[-1] ^ 1]


def constant(name: str):
    raise AssertionError(f"{name} is not JSON")


def test_config_is_strict_json_in_the_published_form(folder):
    config = json.loads((folder / "config.json").read_text(), parse_constant=constant)
    assert "__float__" not in json.dumps(config)
    assert config["architectures"] == ["NemotronHForCausalLM"] and config["model_type"] == "nemotron_h"
    assert config["hybrid_override_pattern"] == load_recipe("laptop").model.pattern == "M-M*-M-"
    assert config["layers_block_type"] == ["mamba", "mlp", "mamba", "attention", "mlp", "mamba", "mlp"]
    assert config["num_hidden_layers"] == 7
    assert (config["bos_token_id"], config["eos_token_id"], config["pad_token_id"]) == (1, 2, 4)
    assert config["dtype"] == config["torch_dtype"] == "float32"
    assert config["rms_norm_eps"] == config["layer_norm_epsilon"] == 1e-5
    assert config["mamba_ssm_cache_dtype"] == "float32"
    others = [name for name in config if "expert" in name or name.startswith(("moe", "mtp"))]
    assert not others, "readers take a model with such settings for a mixture of experts"
    generation = json.loads((folder / "generation_config.json").read_text(), parse_constant=constant)
    assert (generation["bos_token_id"], generation["eos_token_id"], generation["pad_token_id"]) == (1, 2, 4)
    context = json.loads((folder / "tokenizer_config.json").read_text())["model_max_length"]
    assert context == config["max_position_embeddings"] == exported.CONTEXT


def test_a_model_with_experts_keeps_their_settings():
    from transformers import NemotronHConfig

    kinds = ["linear_attention", "moe", "full_attention", "mlp"]
    given = NemotronHConfig(layers_block_type=kinds, num_experts_per_tok=3, n_group=1, dtype="bfloat16")
    config = export.portable(json.loads(given.to_json_string(use_diff=False)))
    assert config["hybrid_override_pattern"] == "ME*-"
    assert (config["num_experts_per_tok"], config["n_group"], config["n_groups"]) == (3, 1, 8)
    assert config["moe_intermediate_size"] and config["n_routed_experts"] and "mtp_layers_block_type" not in config


@pytest.mark.parametrize(("limit", "kept"), [((0.0, math.inf), None), ((0.25, math.inf), 0.25), ((0.0, 0.5), 0.0)])
def test_limits_of_time_steps_are_numbers(limit, kept):
    from transformers import NemotronHConfig

    given = NemotronHConfig(time_step_limit=limit, dtype="float32")
    config = export.portable(json.loads(given.to_json_string(use_diff=False)))
    json.dumps(config, allow_nan=False)
    assert config.get("time_step_limit", [None])[0] == kept
    assert 0 < config["time_step_min"] <= max(limit[0], 1e-30), "transformers takes it for the lower limit"
    assert kept is None or config["time_step_limit"][1] >= min(limit[1], 3e38)


def test_the_published_shape_keeps_its_parameters(tmp_path):
    """12,310,001,152 parameters, counted from a config.json that was written and read again."""
    from transformers import AutoConfig

    recipe = load_recipe("nano2").model
    config = model_config(recipe, 131_072, 8_192, {"pad": 0, "bos": 1, "eos": 2})
    config.dtype, config.architectures = torch.bfloat16, ["NemotronHForCausalLM"]
    config.save_pretrained(tmp_path)
    export.make_portable(tmp_path)
    read = AutoConfig.from_pretrained(tmp_path)
    assert read.hybrid_override_pattern == recipe.pattern and read.dtype == torch.bfloat16
    assert sum(p.numel() for p in empty_model(read).parameters()) == 12_310_001_152


def test_nothing_is_missing_for_plain_transformers(folder):
    assert load_report(folder) == (load_recipe("laptop").model.parameters(exported.VOCABULARY), [])


def test_large_models_are_written_in_several_files(folder, plain, documents, tmp_path):
    from transformers import AutoModelForCausalLM

    exported.write(tmp_path / "model", shard_size="300KB")
    files = sorted(file.name for file in (tmp_path / "model").glob("*.safetensors"))
    assert len(files) > 3 and files[0] == f"model-00001-of-{len(files):05d}.safetensors"
    index = json.loads((tmp_path / "model" / "model.safetensors.index.json").read_text())
    assert set(index["weight_map"].values()) == set(files)
    assert "backbone.layers.0.mixer.in_proj.weight" in index["weight_map"], "the names of the published weights"
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "model").eval()
    assert torch.equal(alone(loaded, documents[1]), alone(plain, documents[1]))


def test_an_export_replaces_the_earlier_one_or_leaves_it(folder, tmp_path):
    target = tmp_path / "model"
    target.mkdir()
    (target / "old.txt").write_text("an earlier file")
    lacking = exported.weights()
    lacking.pop("lm_head.weight")
    with pytest.raises(ValueError, match=r"1 weights are missing or unknown: lm_head\.weight"):
        export.save(target, exported.laptop_config(), lacking, torch.float32)
    assert (target / "old.txt").exists()
    (tmp_path / "partial-model").mkdir()
    (tmp_path / "partial-model" / "left.txt").write_text("what a killed process left")
    export.save(target, exported.laptop_config(), exported.weights(), torch.bfloat16)
    assert sorted(file.name for file in target.iterdir()) == [
        "config.json", "generation_config.json", "model.safetensors",
    ]  # fmt: skip
    assert not (tmp_path / "partial-model").exists()
    assert json.loads((target / "config.json").read_text())["torch_dtype"] == "bfloat16"


def test_packed_documents_equal_each_alone_in_plain_transformers(plain, attached, documents):
    for ours, document in zip(packed(attached, documents), documents, strict=True):
        assert (ours - alone(plain, document)).abs().max() < TOLERANCE


def test_small_time_steps_are_not_cut_off(plain, attached, documents):
    """transformers clamps time steps to `time_step_min`. Half of these are far below its default of 0.001."""
    for name, parameter in attached.named_parameters():
        if name.endswith("dt_bias"):
            dict(plain.named_parameters())[name].data[::2] -= 12
            parameter.data[::2] -= 12
    (ours,) = packed(attached, documents[:1])
    theirs = alone(plain, documents[0])
    for model in (plain, attached):
        for name, parameter in model.named_parameters():
            if name.endswith("dt_bias"):
                parameter.data[::2] += 12
    assert (ours - theirs).abs().max() < TOLERANCE


def test_the_last_token_of_a_document_moves_nothing_in_the_next(attached, documents):
    first, *others = packed(attached, documents)
    moved, *after = packed(attached, [changed(documents[0]), *documents[1:]])
    assert torch.equal(moved[:-1], first[:-1]) and not torch.equal(moved[-1], first[-1])
    assert all(map(torch.equal, after, others))


@pytest.mark.parametrize("described_by", ["position_ids", "seq_idx", "cu_seq_lens_q"])
@torch.no_grad()
def test_packing_of_other_libraries_is_read_or_refused_and_never_ignored(plain, attached, documents, described_by):
    """Plain transformers lets documents leak into each other here, as the model card says; the attached model does not.
    It refuses such calls when it is told to."""
    lengths = torch.tensor(LENGTHS)
    tokens = torch.tensor([[token for document in documents for token in document]])
    given = {
        "position_ids": torch.cat([torch.arange(length) for length in lengths])[None],
        "seq_idx": torch.arange(3, dtype=torch.int32).repeat_interleave(lengths)[None],
        "cu_seq_lens_q": torch.tensor([0, *lengths.cumsum(0)], dtype=torch.int32),
    }
    described = {described_by: given[described_by]}

    def worst(model) -> float:
        read = model(tokens, use_cache=False, **described).logits[0].log_softmax(-1).split(LENGTHS)
        return max(
            float((rows - alone(plain, document)).abs().max()) for rows, document in zip(read, documents, strict=True)
        )

    assert worst(attached) < TOLERANCE
    assert worst(plain) > 0.1, "transformers reads packed documents now: change the model card and the README"
    attached.model.packed_inputs = "refuse"
    try:
        with pytest.raises(ValueError, match=described_by):
            attached(tokens, use_cache=False, **described)
    finally:
        del attached.model.packed_inputs


@pytest.mark.parametrize("side", ["left", "right"])
@torch.no_grad()
def test_padding_and_neighbours_move_nothing_in_transformers(plain, documents, side):
    """Documents of different lengths in one padded batch give what each gives alone."""
    longest = max(LENGTHS)
    batch, mask = torch.full((3, longest), 4), torch.zeros(3, longest, dtype=torch.long)
    places = [slice(longest - n, None) if side == "left" else slice(n) for n in LENGTHS]
    for row, (document, place) in enumerate(zip(documents, places, strict=True)):
        batch[row, place], mask[row, place] = torch.tensor(document), 1
    read = plain(batch, attention_mask=mask, use_cache=False).logits.log_softmax(-1)
    for row, (document, place) in enumerate(zip(documents, places, strict=True)):
        assert (read[row, place] - alone(plain, document)).abs().max() < TOLERANCE
    batch[0, places[0]] = torch.tensor(changed(documents[0]))
    moved = plain(batch, attention_mask=mask, use_cache=False).logits.log_softmax(-1)
    assert all(torch.equal(moved[row, places[row]], read[row, places[row]]) for row in (1, 2))


@pytest.mark.slow
def test_vllm_gives_the_same_log_probabilities(folder, plain, attached, documents):
    """One engine reads prompts together and alone, and generates. All agree with transformers and with packed training
    sequences, and a changed neighbour moves nothing."""
    one, two, three = documents
    result = exported.read_by_vllm(folder, [[one, two, three], [changed(one), two, three], [two]])
    assert result["cache"] == "float32"
    together, beside_another, by_itself = result["read"]
    for read, document, ours in zip(together, documents, packed(attached, documents), strict=True):
        prompt, generated = torch.tensor(read["prompt"]), read["generated"]
        whole = alone(plain, document + generated)
        assert (prompt - whole[: len(document) - 1]).abs().max() < TOLERANCE
        assert (prompt - ours[:-1]).abs().max() < TOLERANCE
        steps = torch.tensor(read["next"])
        assert (steps - whole[len(document) - 1 : -1]).abs().max() < TOLERANCE
        assert generated == steps.argmax(-1).tolist()
    for moved, before in zip(beside_another[1:], together[1:], strict=True):
        assert moved["prompt"] == before["prompt"], "changing the first prompt's last token moves nothing in another"
    assert (torch.tensor(by_itself[0]["prompt"]) - torch.tensor(together[1]["prompt"])).abs().max() < TOLERANCE
