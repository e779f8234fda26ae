"""The process that holds ScanCode's licence index (1.1 GB, loaded in 3 CPU seconds) and scans texts.

`library.Library` starts it as a program of its own, because the index is too large for every worker to hold, and
because a text that takes too long must be stopped by killing the process. It dies with its parent, and its memory is
limited. It reads requests and writes answers as JSON lines. Request: {"text": ..., "seconds": ...}. Answer:
{"findings": [...], "beside": {line: words}, "late": whether the deadline has passed} or {"error": ...}.
"""

import ctypes
import gc
import json
import os
import resource
import signal
import sys
import time
import types


def stand_alone() -> None:
    """Replace modules that `licensedcode` imports only to open files (libmagic, PDF and archive readers, plugins) with
    empty ones. This process gets decoded texts and never calls them, and one of them does not work with pluggy 1.7."""
    import textcode

    def refuse(*args, **kwargs):
        raise RuntimeError("this process scans texts and cannot open files")

    names = {
        "textcode.analysis": ("numbered_text_lines",),
        "typecode": ("get_type",),
        "scancode.api": ("SCANCODE_LICENSEDB_URL", "SCANCODE_LICENSE_URL", "SCANCODE_RULE_URL", "SPDX_LICENSE_URL"),
    }
    for name, members in names.items():
        module = types.ModuleType(name)
        for member in members:
            setattr(module, member, "" if member.isupper() else refuse)
        sys.modules[name] = module
    textcode.analysis = sys.modules["textcode.analysis"]


def load():
    """ScanCode's index of rules and its licences by key, as they come with the package."""
    from licensedcode import cache

    gc.disable()  # garbage collection doubles the time, because loading makes millions of objects
    loaded = cache.get_cache()
    gc.freeze()
    gc.enable()
    return loaded


def speed_up(index) -> None:
    """Let the library compare a text only with the rules that can be similar to it: 0.3 s less per text.

    Two sparse matrix products count, for all 36,000 rules at once, the words that a text shares with each rule. Rules
    that fail the library's own conditions on these counts are dropped; it compares the rest as before, so that the
    candidates are the same.
    """
    import numpy as np
    from licensedcode import match_set
    from scipy.sparse import csr_matrix

    rules = index.rules_by_rid
    sets = [list(index.sets_by_rid[rid] or ()) for rid in range(len(rules))]
    sizes = np.array([len(one) for one in sets])
    tokens = np.fromiter((token for one in sets for token in one), np.int32, sizes.sum())
    starts = np.concatenate([[0], np.cumsum(sizes)])
    shape = (len(rules), int(tokens.max(initial=0)) + 1)
    # Two matrices of rules by tokens: one with all words, one with the words of legal texts only.
    of_rule = csr_matrix((np.ones(len(tokens), np.int32), tokens, starts), shape)
    of_rule_legalese = csr_matrix(((tokens < index.len_legalese).astype(np.int32), tokens, starts), shape, copy=True)
    of_rule_legalese.eliminate_zeros()
    least = np.array([rule.get_min_matched_length(True) for rule in rules])
    least_legalese = np.maximum(1, [rule.get_min_high_matched_length(True) for rule in rules])
    lengths = np.maximum(1, [rule.get_length(True) for rule in rules])
    contained = np.array([rule._minimum_containment or 0.0 for rule in rules])
    original = match_set.compute_candidates

    def compute_candidates(query_run, idx, matchable_rids, *args, **options):
        if idx is index and not options.get("_use_bigrams"):
            known, _ = match_set.build_set_and_mset(query_run.matchable_tokens(), _use_bigrams=False)
            present = np.zeros(shape[1], np.int32)
            present[[token for token in known if token < shape[1]]] = 1
            common, common_legalese = of_rule @ present, of_rule_legalese @ present
            similar = (common >= np.maximum(1, least)) & (common_legalese >= least_legalese)
            similar &= common / lengths >= contained
            matchable_rids = set(np.flatnonzero(similar).tolist()).intersection(matchable_rids)
        return original(query_run, idx, matchable_rids, *args, **options)

    match_set.compute_candidates = compute_candidates


def findings(text: str, loaded, deadline: float) -> tuple[list[dict], dict[int, str]]:
    """The detections in a text, in the order of their lines; and for every line with words of a match, its other words.

    Example: the line "MIT License, for research only" has a match, and the other words "for research only".
    """
    from licensedcode.cache import build_spdx_license_expression
    from licensedcode.detection import detect_licenses
    from licensedcode.match import tokenize_matched_text

    detections = list(detect_licenses(index=loaded.index, query_string=text, deadline=deadline))
    if not detections:
        return [], {}
    tokens = tokenize_matched_text(None, text, loaded.index.dictionary)
    # A clue ("commercial license") states no licence. Its words count as other words of the line.
    stated = [detection for detection in detections if detection.license_expression]
    taken = {position for detection in stated for match in detection.matches for position in match.qspan}
    found = []
    for detection in detections:
        matches = [
            {
                "expression": build_spdx_license_expression(match.rule.license_expression, loaded.licensing),
                "rule": match.rule.identifier,
                "kind": kind(match.rule),
                "score": match.score(),
                "coverage": match.coverage(),
                "length": match.rule.length,
                "start": match.start_line,
                "end": match.end_line,
                "files": list(match.rule.referenced_filenames or ()),
                "extra": extra(match, tokens, taken),
            }
            for match in detection.matches
        ]
        spdx = detection.license_expression_spdx or detection.license_expression or ""
        found.append({"expression": spdx, "matches": matches, "log": list(detection.detection_log or ())})
    return found, beside(tokens, taken)


def beside(tokens: list, taken: set[int]) -> dict[int, str]:
    """{line, from 1: its words outside of matches}, for the lines with words of a match."""
    lines: dict[int, list[str]] = {}
    touched = set()
    for token in tokens:
        if token.pos in taken:
            touched.add(token.line_num)
        lines.setdefault(token.line_num, []).append(" " if token.pos in taken else token.value)
    return {number: " ".join("".join(lines[number]).split()) for number in sorted(touched)}


def extra(match, tokens: list, taken: set[int]) -> str:
    """The words inside a match that belong to no match: what somebody has put into the text of a licence. At most 2,000
    characters."""
    if match.matcher in ("1-hash", "2-aho", "1-spdx-id"):
        return ""
    places = [place for place, token in enumerate(tokens) if token.pos in (match.qstart, match.qend)]
    inside = tokens[places[0] : places[-1]] if places else ()
    return " ".join(token.value for token in inside if token.is_text and token.pos not in taken)[:2_000]


def kind(rule) -> str:
    """The kind of a rule: text, notice, reference, tag, intro, clue or other."""
    names = ("text", "notice", "reference", "tag", "intro", "clue")
    return next((name for name in names if getattr(rule, f"is_license_{name}")), "other")


def main(memory_mb: int, parent: int) -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        return
    resource.setrlimit(resource.RLIMIT_AS, (memory_mb << 20, memory_mb << 20))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what the library prints goes to stderr, so that stdout has answers only
    stand_alone()
    loaded = load()
    speed_up(loaded.index)
    print(json.dumps({"ready": True}), file=answers, flush=True)
    for line in sys.stdin.buffer:
        request = json.loads(line)
        deadline = time.time() + request["seconds"]
        try:
            found, rest = findings(request["text"], loaded, deadline)
            answer = {"findings": found, "beside": rest, "late": time.time() > deadline}
        except MemoryError:
            raise SystemExit(9) from None
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"[:300]}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
