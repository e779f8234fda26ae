"""The tables of metrics and events name every training that writes them."""

from nemotron_assets.definitions import defs
from nemotron_assets.models.tables import TRAINING_EVENTS, TRAINING_METRICS, TRAININGS
from nemotron_assets.stages import all_tables


def test_every_trained_model_is_upstream_of_metrics_and_events():
    trained = {name for name, table in all_tables().items() if table.is_model and "final_loss" in table.column_names}
    assert set(TRAININGS) == trained
    graph = defs.resolve_asset_graph()
    for table in (TRAINING_METRICS, TRAINING_EVENTS):
        parents = {".".join(key.path) for key in graph.get(table.asset_key).parent_keys}
        assert parents == trained
        assert table.origins["model"] == tuple(f"{name}.name" for name in TRAININGS)
