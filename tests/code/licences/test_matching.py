"""The fast functions find what the licence library's own find: the same similar rules, the same blocks of words."""

from __future__ import annotations

import random
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
from intbitset import intbitset

from nemotron_assets.code.licences import _matching, _scancode

_scancode.stand_alone()
from licensedcode import match_set, seq  # noqa: E402 (it needs the modules that the line above makes)

#: Words with a lower number are legalese; there are `WORDS` words.
LEGALESE, WORDS = 30, 90


def words(random_: random.Random, count: int) -> list[int]:
    return [min(int(random_.expovariate(0.05)), WORDS - 1) for _ in range(count)]


def rule(random_: random.Random, rid: int) -> SimpleNamespace:
    """A rule of 5 to 60 words with demands like those of the library's rules."""
    tokens = words(random_, random_.randint(5, 60))
    count = Counter(tokens)
    high = {word: number for word, number in count.items() if word < LEGALESE}
    made = SimpleNamespace(
        rid=rid,
        tokens=tokens,
        identifier=f"rule_{random_.randint(0, 10**9)}_{rid}",
        license_expression=random_.choice(["mit", "isc", "gpl"]),
        length=len(tokens),
        length_unique=len(count),
        min_matched_length=min(4, len(tokens)),
        min_matched_length_unique=min(3, len(count)),
        min_high_matched_length=min(2, sum(high.values())),
        min_high_matched_length_unique=min(2, len(high)),
        _minimum_containment=random_.choice([None, 0.3, 0.8]),
    )
    made.get_length = lambda unique: made.length_unique if unique else made.length
    made.get_min_matched_length = lambda unique: made.min_matched_length_unique if unique else made.min_matched_length
    made.get_min_high_matched_length = lambda unique: (
        made.min_high_matched_length_unique if unique else made.min_high_matched_length
    )
    return made


@pytest.fixture(scope="module")
def index() -> SimpleNamespace:
    random_ = random.Random(1)
    rules = [rule(random_, rid) for rid in range(300)]
    sets = [match_set.build_set_and_mset(one.tokens) for one in rules]
    return SimpleNamespace(
        rules_by_rid=rules,
        len_legalese=LEGALESE,
        sets_by_rid=[one for one, _ in sets],
        msets_by_rid=[many for _, many in sets],
        approx_matchable_rids=intbitset([rid for rid in range(300) if rid % 7]),
    )


@pytest.mark.parametrize("nearly_only", [False, True])
def test_the_same_rules_are_similar_in_the_same_order(index, nearly_only):
    random_, candidates, found = random.Random(2), _matching._Candidates(index), 0
    for number in range(40):
        tokens = list(index.rules_by_rid[number].tokens) + words(random_, number % 5)
        # The library marks words that are matched already with -1; some words are in no rule.
        tokens = [random_.choice([-1, WORDS + 5]) if random_.random() < 0.03 else token for token in tokens]
        run = SimpleNamespace(matchable_tokens=lambda tokens=tokens: tokens)
        for top in (3, 40):
            expected = match_set.compute_candidates(
                run, index, index.approx_matchable_rids, top=top, high_resemblance=nearly_only
            )
            assert [rid for _, rid, *_ in candidates.find(run, top, nearly_only)] == [rid for _, rid, *_ in expected]
            found += len(expected)
    assert found > 30


def test_the_same_blocks_are_common():
    random_ = random.Random(3)
    heads = np.full(LEGALESE, -1, np.int32)
    for number in range(60):
        rule_words = words(random_, random_.randint(1, 80))
        text = words(random_, 20) + rule_words[random_.randrange(len(rule_words)) :] + words(random_, number)
        text += rule_words[: random_.randint(0, 40)]
        matchable = [random_.random() < 0.95 for _ in text]
        first, end = random_.randint(0, 5), len(text) - random_.randint(0, 5)
        postings: dict[int, list[int]] = {}
        for place, word in enumerate(rule_words):
            if word < LEGALESE:
                postings.setdefault(word, []).append(place)
        places = {place for place, one in enumerate(matchable) if one}
        expected = seq.match_blocks(text, rule_words, first, end, postings, LEGALESE, places)
        found = _matching._blocks(
            np.array(text, np.int32), np.array(matchable), np.array(rule_words, np.int32), first, end, heads
        )
        assert found.tolist() == [list(block) for block in expected]
        assert (heads == -1).all()


def test_decimals_are_rounded_as_python_does():
    values = np.array([0.05, 0.15, 0.25, 0.35, 0.45, 0.449999999, 0.85, 1.0, 2 / 3, 1 / 20 * 7])
    assert _matching._tenths(values).tolist() == [round(value, 1) for value in values.tolist()]
