"""Published scorers: checkpoints from Hugging Face or a folder, tried on a text before they are stored."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nemotron_assets.scorers import ScorerError
from nemotron_assets.scorers.embeddings import without_caches
from nemotron_assets.scorers.kinds import FASTTEXT, Trained, load

if TYPE_CHECKING:
    from nemotron_assets.recipe.web.quality import Scorers


def fetch_checkpoint(slot: str, name: str, recipe: Scorers, folder: Path) -> Trained:
    """Copy a published scorer to `folder` and try it on a text. Raises `ScorerError` when it does not fit its slot."""
    from resources import pretrained

    if slot == "reference":
        folder.mkdir(parents=True)
        shutil.copyfile(_fasttext_file(name), folder / FASTTEXT)
        made = Trained("fasttext", folder, None, {})
    else:
        shutil.copytree(pretrained.fetch(name, folder)[1], folder, ignore=without_caches)
        made = Trained("classifier", folder, pretrained.parameters(folder), {})
    (score,) = load(made.kind, folder, recipe).score(["Plants turn light, water and air into sugar."])
    if not np.isfinite(score):
        raise ScorerError(f"{name} scores a plain sentence {score}: its weights are damaged or of another architecture")
    return made


def _fasttext_file(name: str) -> Path:
    if Path(name).is_file():
        return Path(name)
    from huggingface_hub import hf_hub_download

    owner, _, rest = name.partition("/")
    repository, _, file = rest.partition("/")
    if not file.endswith((".bin", ".ftz")):
        raise ScorerError(
            f"web.quality.scorers.reference {name!r} is neither 'embedded', nor a file, nor owner/repository/file.bin"
        )
    try:
        return Path(hf_hub_download(f"{owner}/{repository}", file))
    except Exception as error:
        raise ScorerError(f"web.quality.scorers.reference {name!r} could not be downloaded: {error}") from error
