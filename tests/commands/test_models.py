"""A model of the lake is found by its table, its name or its id, and what does not fit is told with what there is."""

from __future__ import annotations

import pytest

from nemotron_assets.commands.models import find_model, weights_of
from nemotron_assets.models.registry import ModelError
from resources.lakehouse import Lakehouse
from tests.chat import tiny_lake
from tests.chat.tiny_lake import IDS, NAMES


@pytest.fixture(scope="module")
def lake(tmp_path_factory, vocabulary_folder) -> Lakehouse:
    return tiny_lake.write(tmp_path_factory.mktemp("home"), vocabulary_folder)


@pytest.mark.parametrize(
    ("wanted", "id_"),
    [
        ("models/base", IDS[1]),
        ("models.base", IDS[1]),
        ("models/base@tiny-base", IDS[0]),
        (NAMES[0], IDS[0]),
        (f"{NAMES[1]}@1", IDS[1]),
        (IDS[0], IDS[0]),
        (IDS[0][:6], IDS[0]),
    ],
)
def test_a_model_is_found(lake, wanted, id_):
    table, row = find_model(lake, wanted)
    assert (table.full_name, row["id"]) == ("models.base", id_)


@pytest.mark.parametrize("wanted", ["models/bse", "tiny", IDS[0][:5], ""])
def test_other_names_are_an_error_that_lists_the_models(lake, wanted):
    with pytest.raises(ModelError, match=r"no model .*\n +models.base@1  tiny-base  abcdef") as error:
        find_model(lake, wanted)
    assert NAMES[1] in str(error.value)


def test_an_empty_lake_says_so(tmp_path):
    with pytest.raises(ModelError, match="there are none: run `nemotron run`"):
        find_model(Lakehouse(root=str(tmp_path), free_disk_mb=0), "tiny")


def test_only_language_models_are_served(lake):
    assert (weights_of(lake, *find_model(lake, NAMES[0])) / "model.safetensors").is_file()
    with pytest.raises(ModelError, match="SequenceClassification: only a language model can answer"):
        weights_of(lake, *find_model(lake, "models/base"))
