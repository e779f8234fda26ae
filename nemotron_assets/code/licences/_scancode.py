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
from pathlib import Path


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
    """Put faster functions in the place of the library's slowest."""
    sys.path.append(str(Path(__file__).parents[3]))
    from nemotron_assets.code.licences import _matching

    _matching.install(index)
    gc.freeze()


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
    places = {token.pos: place for place, token in enumerate(tokens) if token.pos >= 0}
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
                "extra": extra(match, tokens, places, taken),
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


def extra(match, tokens: list, places: dict[int, int], taken: set[int]) -> str:
    """The words inside a match that belong to no match: what somebody has put into the text of a licence. At most 2,000
    characters. `places` are those of the known words among `tokens`."""
    if match.matcher in ("1-hash", "2-aho", "1-spdx-id"):
        return ""
    inside = tokens[places.get(match.qstart, len(tokens)) : places.get(match.qend, 0)]
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
        deadline = time.process_time() + request["seconds"]
        try:
            found, rest = findings(request["text"], loaded, deadline)
            answer = {"findings": found, "beside": rest, "late": time.process_time() > deadline}
        except MemoryError:
            raise SystemExit(9) from None
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"[:300]}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
