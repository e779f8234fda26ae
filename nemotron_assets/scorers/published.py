"""Published scorers: checkpoints from Hugging Face or a folder, tested on one text before they are stored."""

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
    """Copy the published scorer with this name to `folder` and test it on one text.

    The slot "reference" takes a fastText model, the other slots take a classifier. Raises `ScorerError` if the scorer
    does not fit its slot or gives no finite score.
    """
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
        raise ScorerError(
            f"{name} gives a plain sentence the score {score}: its weights are damaged or belong to another "
            f"architecture; name another model in web.quality.scorers.{slot}"
        )
    return made


def _fasttext_file(name: str) -> Path:
    """The file of a fastText model: a local file, or a file of a Hugging Face repository (owner/repository/file)."""
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
