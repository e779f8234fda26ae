"""Checks of the pretrained models: losses are finite, that of the base model fell, and plain transformers can load the
weights. What the long-context model gains over the base model is checked where it is measured, in the evaluation."""

from nemotron_assets.pretrain.tables import BASE, LONG_CONTEXT
from nemotron_assets.training.checks import loads_with_transformers, loss_decreased, loss_is_finite

CHECKS = [loss_decreased(BASE), loss_is_finite(LONG_CONTEXT), *map(loads_with_transformers, (BASE, LONG_CONTEXT))]
