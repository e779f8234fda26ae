"""Makes ScanCode compare texts with its rules faster, with the same matches.

The library does four things in Python that take nearly all of its time: it counts the words that a text shares with
each of 36,000 rules, aligns the text with the 70 most similar rules, makes sets of positions for each rule that stands
in the text word for word, and an identifier of each detection that nobody here reads. `install` puts compiled or
shorter functions in the place of those. The words that the library calls legalese ("license", "permission") have the
numbers below `len_legalese`.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from itertools import chain
from time import process_time

import numpy as np

from resources.kernels import kernel

#: How many times the wanted number of rules is compared by counts of words, after a comparison by distinct words: the
#: library's number.
_COMPARED = 10
#: From this similarity on, 0 to 1, the library calls a rule nearly the whole text.
_NEARLY_THE_TEXT = 0.8


def install(index) -> None:
    """Put the fast functions in the place of the library's. `index` is its index of rules."""
    from licensedcode import detection, match_aho, match_seq, match_set
    from licensedcode import index as index_module

    candidates = _Candidates(index)
    original = match_set.compute_candidates

    def compute_candidates(query_run, idx, matchable_rids, top=50, high_resemblance=False, **options):
        if idx is index and matchable_rids is index.approx_matchable_rids and not options.get("_use_bigrams"):
            return candidates.find(query_run, top, high_resemblance)
        return original(query_run, idx, matchable_rids, top, high_resemblance, **options)

    match_set.compute_candidates = compute_candidates
    match_aho.exact_match = _exact_matcher(index)
    index_module.LicenseIndex.get_query_run_approximate_matches = _aligner(index)
    _shorten_query_runs()
    # Deadlines count CPU seconds: other programs on the machine change no answer.
    index_module.time = match_seq.time = process_time
    detection.LicenseDetection.identifier_with_expression = ""
    detection.combine_expressions = _remember(detection.combine_expressions)
    remembered = functools.cache(detection.build_spdx_license_expression)
    detection.build_spdx_license_expression = lambda license_expression, licensing=None: remembered(license_expression)


def _remember(combine: Callable) -> Callable:
    """The library's `combine_expressions`, with its results kept as texts: their parsing takes longest."""
    kept: dict = {}

    def combined(expressions, **options):
        key = (tuple(map(str, expressions)), options.get("unique", True), options.get("relation", "AND"))
        if key not in kept:
            kept[key] = combine(list(key[0]), **options)
        return kept[key]

    return combined


def _shorten_query_runs() -> None:
    """Let a run of a text find its positions that may still match at once, and not one by one for each question."""
    from intbitset import intbitset
    from licensedcode.query import QueryRun

    def low_matchables(self):
        if not self._low_matchables:
            self._low_matchables = self.query.low_matchables & intbitset(range(self.start, self.end + 1))
        return self._low_matchables

    def high_matchables(self):
        if not self._high_matchables:
            self._high_matchables = self.query.high_matchables & intbitset(range(self.start, self.end + 1))
        return self._high_matchables

    def matchable_tokens(self):
        if not self.high_matchables:
            return []
        matchables = self.matchables
        return [tid if pos in matchables else -1 for pos, tid in self.tokens_with_pos()]

    QueryRun.low_matchables = property(low_matchables)
    QueryRun.high_matchables = property(high_matchables)
    QueryRun.matchable_tokens = matchable_tokens


# -- rules that stand in the text word for word ------------------------------------------------------------------------


def _exact_matcher(index) -> Callable:
    """The library's `exact_match`, with the sets of positions in a rule made once for each rule."""
    from intbitset import intbitset
    from licensedcode import match_aho
    from licensedcode.match import LicenseMatch
    from licensedcode.spans import Span

    whole: dict[int, tuple] = {}

    def exact_match(idx, query_run, automaton, matcher="2-aho", matcher_order=1, **options):
        start, found, matchables = query_run.start, [], query_run.matchables
        for rid, first, end, rule_first, rule_end in match_aho.get_matched_positions(
            query_run.tokens, start, automaton
        ):
            if not intbitset(range(first, end)).issubset(matchables):
                continue
            if rid not in whole:
                tokens = idx.tids_by_rid[rid]
                legalese = [place for place in range(rule_first, rule_end) if tokens[place] < idx.len_legalese]
                whole[rid] = Span(rule_first, rule_end - 1), Span(legalese)
            in_rule, legalese = whole[rid]
            found.append(
                LicenseMatch(
                    rule=idx.rules_by_rid[rid],
                    qspan=Span(first, end - 1),
                    ispan=in_rule,
                    hispan=legalese,
                    query_run_start=start,
                    matcher=matcher,
                    matcher_order=matcher_order,
                    query=query_run.query,
                )
            )
        return found

    return exact_match


# -- rules that are similar to the text --------------------------------------------------------------------------------


class _Candidates:
    """The rules that are similar to a text by the words that both have, as the library's `compute_candidates` finds
    them."""

    def __init__(self, index) -> None:
        self.rules, self.len_legalese = index.rules_by_rid, index.len_legalese
        counts = [
            index.msets_by_rid[rid] if rid in index.approx_matchable_rids else () for rid in range(len(self.rules))
        ]
        sizes = np.fromiter(map(len, counts), np.int64, len(counts))
        total = int(sizes.sum())
        self.starts = np.concatenate([[0], np.cumsum(sizes)])
        self.tokens = np.fromiter(chain.from_iterable(counts), np.int32, total)
        self.counts = np.fromiter(chain.from_iterable(one.values() for one in counts if one), np.int32, total)
        self.vocabulary = int(self.tokens.max(initial=0)) + 1
        # The rules that have a word of legalese, word by word.
        legalese = self.tokens < self.len_legalese
        order = np.argsort(self.tokens[legalese], kind="stable")
        self.rules_of = np.repeat(np.arange(len(counts), dtype=np.int32), sizes)[legalese][order]
        ends = np.cumsum(np.bincount(self.tokens[legalese], minlength=self.len_legalese))
        self.rules_of_starts = np.concatenate([[0], ends])
        # What a rule demands of a text: of its distinct words, and of all its words.
        self.least = self._of_rules(lambda rule: (rule.min_matched_length_unique, rule.min_matched_length))
        self.least_legalese = self._of_rules(
            lambda rule: (rule.min_high_matched_length_unique, rule.min_high_matched_length)
        )
        self.lengths = self._of_rules(lambda rule: (rule.length_unique, rule.length))
        self.contained = np.array([rule._minimum_containment or 0.0 for rule in self.rules])
        expressions: dict[str, int] = {}
        self.expressions = np.array(
            [expressions.setdefault(str(rule.license_expression), len(expressions)) for rule in self.rules]
        )
        names = np.array([rule.identifier for rule in self.rules])
        self.ranks = np.empty(len(names), np.int64)
        self.ranks[np.argsort(names, kind="stable")] = np.arange(len(names))
        self.twentieths = np.array([round(length / 20, 1) for length in range(1 << 17)])

    def _of_rules(self, numbers: Callable) -> np.ndarray:
        """int64[2, rules]: two numbers of each rule; 0 for a number that a rule has not."""
        return np.array([[one or 0 for one in numbers(rule)] for rule in self.rules], np.int64).T.copy()

    def find(self, query_run, top: int, nearly_only: bool) -> list[tuple]:
        """The `top` rules most similar to a run of a text, as (None, rule id, rule, None)."""
        present = np.zeros(self.vocabulary, np.int32)
        tokens = np.array(query_run.matchable_tokens(), np.int32)
        tokens = tokens[tokens >= 0]
        outside = tokens[tokens >= self.vocabulary]  # words that only rules which are not compared have
        np.add.at(present, tokens[tokens < self.vocabulary], 1)
        distinct = int(np.count_nonzero(present)) + len(np.unique(outside))
        least_similar = _NEARLY_THE_TEXT if nearly_only else 0.0
        of_rules = self.starts, self.tokens, self.counts
        rids, shared = _share_words(
            present, self.rules_of_starts, self.rules_of, *of_rules, self.least[0], self.least_legalese[0],
        )  # fmt: skip
        rids, scores = self._scores(rids, shared, 0, distinct, least_similar)
        if len(rids) > _COMPARED * top:
            best = np.lexsort((rids, *scores[::-1]))[: -_COMPARED * top - 1 : -1]
            rids = rids[best]
        shared = _share_counts(present, rids, *of_rules, self.len_legalese, self.least[1], self.least_legalese[1])
        rids, scores = self._scores(rids, shared, 1, len(tokens), least_similar)
        if not len(rids):
            return []
        best = self._without_equals(rids, scores)
        rids, scores = rids[best], [one[best] for one in scores]
        best = np.lexsort((rids, *scores[::-1]))[: -top - 1 : -1]
        return [(None, rid, self.rules[rid], None) for rid in rids[best].tolist()]

    def _scores(
        self, rids, shared, kind: int, length: int, least_similar: float
    ) -> tuple[np.ndarray, list[np.ndarray]]:
        """The rules that are similar enough, and the numbers by which the library ranks them, the first first.

        `shared` is the number of words that the text shares with each rule (0: too few), of `length` words of the text.
        """
        lengths = self.lengths[kind][rids]
        contained = shared / np.maximum(lengths, 1)
        similar = shared / np.maximum(length + lengths - shared, 1)
        kept = (shared > 0) & (contained >= self.contained[rids]) & (similar >= least_similar)
        rids, shared, contained, similar = rids[kept], shared[kept], contained[kept], similar[kept]
        squared = similar * similar
        nearly = similar >= _NEARLY_THE_TEXT
        rounded = [_tenths(similar) >= _NEARLY_THE_TEXT, _tenths(contained), _tenths(squared), self.twentieths[shared]]
        return rids, [*rounded, nearly, contained, squared, shared]

    def _without_equals(self, rids: np.ndarray, scores: list[np.ndarray]) -> np.ndarray:
        """The places of the rules that are left if of those with equal licence, length and rounded numbers only the
        best stays."""
        same = [self.expressions[rids], *scores[:4], self.lengths[1][rids]]
        order = np.lexsort((self.ranks[rids], *scores[:3:-1], *same[::-1]))
        last = np.ones(len(order), bool)
        last[:-1] = np.any([one[order][1:] != one[order][:-1] for one in same], axis=0)
        return order[last]


def _tenths(values: np.ndarray) -> np.ndarray:
    """The values, rounded to one decimal as Python rounds them."""
    rounded = np.round(values, 1)
    scaled = values * 10
    for place in np.flatnonzero(np.abs(scaled - np.floor(scaled) - 0.5) < 1e-6):
        rounded[place] = round(float(values[place]), 1)
    return rounded


@kernel
def _share_words(present, rules_of_starts, rules_of, starts, tokens, counts, least, least_legalese):
    """The rules that share enough distinct words with a text, and how many. `present` counts the words of the text."""
    legalese = np.zeros(starts.size - 1, np.int32)
    for token in range(min(present.size, rules_of_starts.size - 1)):
        if present[token]:
            for place in range(rules_of_starts[token], rules_of_starts[token + 1]):
                legalese[rules_of[place]] += 1
    rids = np.empty(legalese.size, np.int64)
    shared = np.empty(legalese.size, np.int64)
    found = 0
    for rid in range(legalese.size):
        if legalese[rid] < max(1, least_legalese[rid]):
            continue
        common = 0
        for place in range(starts[rid], starts[rid + 1]):
            common += present[tokens[place]] > 0
        if common >= least[rid]:
            rids[found] = rid
            shared[found] = common
            found += 1
    return rids[:found], shared[:found]


@kernel
def _share_counts(present, rids, starts, tokens, counts, len_legalese, least, least_legalese):
    """How many words a text shares with each of the rules `rids`, each word as often as both have it; 0: too few."""
    shared = np.zeros(rids.size, np.int64)
    for number in range(rids.size):
        rid, common, legalese = rids[number], 0, 0
        for place in range(starts[rid], starts[rid + 1]):
            both = min(present[tokens[place]], counts[place])
            common += both
            if tokens[place] < len_legalese:
                legalese += both
        if legalese >= max(1, least_legalese[rid]) and common >= least[rid]:
            shared[number] = common
    return shared


# -- alignment of a text with a rule -----------------------------------------------------------------------------------


def _aligner(index) -> Callable:
    """The library's `get_query_run_approximate_matches`, with compiled alignments."""
    from licensedcode.match import LicenseMatch, merge_matches
    from licensedcode.spans import Span

    legalese = index.len_legalese
    heads = np.full(legalese, -1, np.int32)

    def matches(rule, run, text, matchable, places_of_rule, start) -> list:
        """The blocks that a rule and the text from `start` on have in common, repeatedly to the end of the run."""
        found, first, is_legalese = [], start, places_of_rule < legalese
        while first <= run.end:
            blocks = _blocks(text, matchable, places_of_rule, first, run.end + 1, heads)
            if not len(blocks):
                break
            for place, rule_place, length in blocks.tolist():
                if length > 1 or text[place] < legalese:
                    words = np.flatnonzero(is_legalese[rule_place : rule_place + length]) + rule_place
                    found.append(
                        LicenseMatch(
                            rule=rule,
                            qspan=Span(place, place + length - 1),
                            ispan=Span(rule_place, rule_place + length - 1),
                            hispan=Span(words.tolist()),
                            query_run_start=start,
                            matcher="3-seq",
                            matcher_order=3,
                            query=run.query,
                        )
                    )
                first = max(first, place + length)
        return found

    def get_query_run_approximate_matches(self, query_run, candidates, matched_qspans, deadline=sys.maxsize, **options):
        if not candidates or not query_run.is_matchable(include_low=False, qspans=matched_qspans):
            return []
        if not query_run.is_matchable(include_low=False):
            return []
        text = np.array(query_run.query.tokens, np.int32)
        matchable = np.zeros(len(text), np.bool_)
        matchable[list(query_run.matchables)] = True
        found = []
        for _, rid, rule, _ in candidates:
            offset, of_rule = 0, np.array(self.tids_by_rid[rid], np.int32)
            # The library adds the start of the run to a place in the whole text, so that a run which does not begin the
            # text is seldom searched twice. Its matches are kept.
            while of_this := matches(rule, query_run, text, matchable, of_rule, query_run.start + offset):
                found += of_this
                end = max(one.qend for one in of_this)
                if end + 1 >= query_run.end:
                    break
                offset = end + 1
            if process_time() > deadline:
                break
        return merge_matches(found)

    return get_query_run_approximate_matches


@kernel
def _blocks(text, matchable, rule, first, end, heads):
    """int64[n, 3]: the blocks that the text from `first` to `end` and a rule have in common, as place in the text,
    place in the rule and length, in the order of the text; adjacent blocks are one.

    The longest block of legalese comes first, extended by other words; then the longest to its left and right. Of
    equally long blocks the first in the text counts. `heads` is scratch space, -1 for each word of legalese.
    """
    size = rule.size
    following = np.full(size, -1, np.int32)
    for place in range(size - 1, -1, -1):
        if rule[place] < heads.size:
            following[place] = heads[rule[place]]
            heads[rule[place]] = place
    # The lengths of the blocks that end at each place of the rule and at the last two places of the text, and the step
    # in which they were written.
    lengths = np.zeros((2, size + 1), np.int32)
    steps = np.full((2, size + 1), -1, np.int64)
    found = np.empty((16, 3), np.int64)
    count, step = 0, 0
    todo = [(first, end, 0, size)]
    while todo:
        text_first, text_end, rule_first, rule_end = todo.pop()
        best, best_rule, longest = text_first, rule_first, 0
        step += 1
        for place in range(text_first, text_end):
            step += 1
            if text[place] >= heads.size or not matchable[place]:
                continue
            now, before = step & 1, (step - 1) & 1
            other = heads[text[place]]
            while other >= 0 and other < rule_end:
                if other >= rule_first:
                    length = 1
                    if other > 0 and steps[before, other - 1] == step - 1:
                        length = lengths[before, other - 1] + 1
                    lengths[now, other] = length
                    steps[now, other] = step
                    if length > longest:
                        best, best_rule, longest = place - length + 1, other - length + 1, length
                other = following[other]
        if longest == 0:
            continue
        while (
            best > text_first
            and best_rule > rule_first
            and text[best - 1] == rule[best_rule - 1]
            and matchable[best - 1]
        ):
            best, best_rule, longest = best - 1, best_rule - 1, longest + 1
        while (
            best + longest < text_end
            and best_rule + longest < rule_end
            and text[best + longest] == rule[best_rule + longest]
            and matchable[best + longest]
        ):
            longest += 1
        if count == len(found):
            larger = np.empty((2 * count, 3), np.int64)
            larger[:count] = found
            found = larger
        found[count] = (best, best_rule, longest)
        count += 1
        if text_first < best and rule_first < best_rule:
            todo.append((text_first, best, rule_first, best_rule))
        if best + longest < text_end and best_rule + longest < rule_end:
            todo.append((best + longest, text_end, best_rule + longest, rule_end))
    for place in range(size):
        if rule[place] < heads.size:
            heads[rule[place]] = -1
    found = found[:count][np.argsort(found[:count, 0])]
    kept = 0
    for number in range(1, count):
        last = found[kept]
        if last[0] + last[2] == found[number, 0] and last[1] + last[2] == found[number, 1]:
            found[kept, 2] += found[number, 2]
        else:
            kept += 1
            found[kept] = found[number]
    return found[: kept + 1] if count else found[:0]
