"""Reports about the post-training."""

from tests.sql.align_rows import ROLLOUTS
from tests.sql.report import answer


def test_rewards_are_graded_again_in_sql(filled):
    found = answer(filled[1], "rollouts_regraded")
    agreeing = {(row["stored"], row["again"]): row["rollouts"] for row in found.iter_rows(named=True)}
    assert agreeing == {(1.0, 1): 2, (0.0, 0): 2, (1.0, 0): 1}
    assert found.row(0, named=True)["stored"] != found.row(0, named=True)["again"], "what differs comes first"


def test_rewards_by_step(filled):
    found = answer(filled[1], "rollout_rewards")
    assert found["rollouts"].sum() == len(ROLLOUTS)
    assert set(found["split"]) == {"train", "held_out"} and set(found["kl"]) == {0.25}
