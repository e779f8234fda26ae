"""Credentials of 40 kinds are found in code with a precision of at least 0.97 and a recall of at least 0.95.

Pieces of code of the sample get a credential in the format that its service documents, or one of 40 kinds of values
that only look like credentials: hashes, identifiers, names of types, look-ups, placeholders. The values are made
without any rule of this project. A credential is found if its value is gone from the cleaned code; a replacement in
code with a look-alike, or of anything else beside a credential, is wrong.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for when it is run as a file

from benchmarks._credential_texts import CREDENTIALS, LOOKALIKES, Draw, hidden
from benchmarks.harness import Claim, table, verdict

SAMPLE = Path(__file__).resolve().parent.parent / "nemotron_assets" / "sample" / "code" / "files.parquet"
PRECISION, RECALL, KIND_RECALL = 0.97, 0.95, 0.9


@dataclass(frozen=True)
class Planted:
    """A text. `value` is the credential in it, or "" where `kind` only looks like one."""

    text: str
    kind: str
    value: str


def files() -> list[list[str]]:
    """The code of the sample as lists of lines; without very long lines and very short files."""
    import polars as pl

    found = []
    for (data,) in pl.read_parquet(SAMPLE).select("content").iter_rows():
        try:
            lines = bytes(data).decode().splitlines()
        except UnicodeDecodeError:
            continue
        if len(lines) >= 40 and max(map(len, lines)) < 400:
            found.append(lines)
    return found


def planted(code: list[list[str]], seed: int, rounds: int) -> Iterator[Planted]:
    """Pieces of 30 lines of code with a credential or a look-alike on a line of its own."""
    for number in range(rounds):
        for kind, make in CREDENTIALS.items():
            draw = Draw((seed, kind, number))
            value, lines = make(draw)
            yield Planted(_inside(code, draw, draw.choice(lines).format(value)), kind, value)
        for kind, make in LOOKALIKES.items():
            draw = Draw((seed, kind, number))
            yield Planted(_inside(code, draw, make(draw)), kind, "")


def _inside(code: list[list[str]], draw: Draw, line: str) -> str:
    lines = draw.choice(code)
    start = draw.rng.randrange(max(1, len(lines) - 30))
    piece = lines[start : start + 30]
    place = draw.rng.randrange(1, len(piece))
    return "\n".join([*piece[:place], line, *piece[place:]]) + "\n"


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="credentials", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="10 values of each kind instead of 100")
    parser.add_argument("--seed", type=int, default=1, help="of the values and places")
    parser.add_argument(
        "--show", type=int, default=0, metavar="N", help="print N wrong and N missed lines of each kind"
    )
    options = parser.parse_args(argv)

    from nemotron_assets.code.quality.secrets import clean
    from nemotron_assets.recipe.code.quality import Secrets

    recipe = Secrets(personal="keep")
    found, wrong, total, shown = Counter(), Counter(), Counter(), defaultdict(int)
    seconds, characters = 0.0, 0
    for case in planted(files(), options.seed, 10 if options.quick else 100):
        started = time.process_time()
        cleaned = clean(case.text, recipe)
        seconds, characters = seconds + time.process_time() - started, characters + len(case.text)
        total[case.kind] += 1
        hit = bool(case.value) and hidden(case.value) not in cleaned.text
        found[case.kind] += hit
        wrong[case.kind] += max(0, len(cleaned.secrets) - hit)
        problem = "missed" if case.value and not hit else "wrong" if len(cleaned.secrets) > hit else ""
        if problem and shown[case.kind] < options.show:
            shown[case.kind] += 1
            after = set(cleaned.text.splitlines())
            before = [line for line in case.text.splitlines() if line not in after]
            print(problem, case.kind, cleaned.secrets, "|", case.value or before)

    hits, errors = found.total(), wrong.total()
    precision, recall = hits / max(1, hits + errors), hits / sum(total[kind] for kind in CREDENTIALS)
    print(
        f"{total.total():,} pieces of code, {len(CREDENTIALS)} kinds of credentials, {len(LOOKALIKES)} kinds of "
        f"look-alikes; {characters / seconds / 1e6:.1f} million characters/s/core"
    )
    print(table(["credential", "planted", "found"], [(k, total[k], found[k] / total[k]) for k in CREDENTIALS]))
    rows = [
        (kind, total[kind], wrong[kind]) for kind in (*LOOKALIKES, *CREDENTIALS) if wrong[kind] or kind in LOOKALIKES
    ]
    print(table(["look-alike, or what stood beside a credential", "planted", "replaced wrongly"], rows))
    worst = min(CREDENTIALS, key=lambda kind: found[kind] / total[kind])
    return verdict(
        [
            Claim("precision", precision, at_least=PRECISION),
            Claim("recall", recall, at_least=RECALL),
            Claim(f"recall of the kind with the lowest, {worst}", found[worst] / total[worst], at_least=KIND_RECALL),
            Claim("kinds of credentials", len(CREDENTIALS), at_least=40),
            Claim("kinds of look-alikes", len(LOOKALIKES), at_least=40),
        ]
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
