"""A lake with one tiny, untrained language model, in the table models.base, and one scorer."""

from pathlib import Path

import torch

from nemotron_assets.model import export
from nemotron_assets.model.nemotron_h import empty_model, fresh_weights, model_config
from nemotron_assets.models.registry import Identity, Made, Registry
from nemotron_assets.pretrain.tables import BASE
from nemotron_assets.recipe import load_recipe
from resources.lakehouse import Lakehouse

CONTEXT = 1_024
NAMES = ("tiny-base", "tiny-other")
IDS = ("abcdef0123456789", "abcdee0123456789")
TRAINED = {
    "parameters": 1, "tokens_seen": 1, "steps": 1, "final_loss": 1.0, "precision": "fp32", "bf16_layers": None,
    "source_versions": [],
}  # fmt: skip


def write(home: Path, vocabulary_folder: Path) -> Lakehouse:
    """Two versions of models.base; the newest is IDS[1], and only IDS[0] has weights that can be loaded."""
    lake = Lakehouse(root=str(home / "lake"), free_disk_mb=0)
    for name, id_ in zip(NAMES, IDS, strict=True):
        registry = Registry(lake, BASE, "run")
        make = _model(vocabulary_folder) if id_ == IDS[0] else _scorer
        registry.want(Identity(name, id_), make)
        lake.write(BASE, registry.parts())
    return lake


def _model(vocabulary_folder: Path):
    def make(scratch: Path) -> Made:
        config = model_config(load_recipe("laptop").model, 2_048, CONTEXT, {"pad": 4, "bos": 1, "eos": 2})
        config.initializer_range = 0.2
        weights = dict(fresh_weights(dict(empty_model(config).named_parameters()), config, seed=3))
        export.save(scratch / "model", config, weights, torch.float32)
        export.add_tokenizer(scratch / "model", vocabulary_folder)
        return Made(scratch / "model", TRAINED)

    return make


def _scorer(scratch: Path) -> Made:
    (scratch / "config.json").write_text('{"architectures": ["NemotronHForSequenceClassification"]}')
    return Made(scratch, TRAINED)
