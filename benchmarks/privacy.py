"""Personal data in 16 languages is found with a precision of at least 0.98 and a recall of at least 0.95, per kind.

Sentences of the sample get telephone numbers (libphonenumber's example numbers of over 50 countries, with other last
digits), e-mail and IP addresses, card numbers and IBANs. As many other sentences get years, dates, versions, ISBNs,
order numbers, hashes and values that standards reserve for examples. The texts are made without any rule of this
project. A find is right if it has the kind and the place of what was planted.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for when it is run as a file

from benchmarks._privacy_texts import LANGUAGES, planted, sentences
from benchmarks.harness import Claim, table, verdict

KINDS = ("phone", "email", "ip", "payment_card", "iban")
PRECISION, RECALL = 0.98, 0.95


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="privacy", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="four languages instead of 16")
    parser.add_argument("--seed", type=int, default=1, help="of the values, sentences and places")
    parser.add_argument("--show", type=int, default=0, metavar="N", help="print N wrong and N missed values per form")
    options = parser.parse_args(argv)

    from nemotron_assets.recipe.web.privacy import Privacy
    from nemotron_assets.text.personal_data import find

    recipe, texts = Privacy(), sentences()
    languages = ("en", "de", "ja", "ar") if options.quick else LANGUAGES
    right, wrong, all_planted = Counter(), Counter(), Counter()
    wrongs, misses, countries, harmless = defaultdict(list), defaultdict(list), set(), Counter()
    seconds, count, characters = 0.0, 0, 0
    for language in languages:
        for case in planted(language, texts[language], random.Random(f"{options.seed} {language}"), 1):
            started = time.process_time()
            finds = find(case.text, recipe)
            seconds, count, characters = seconds + time.process_time() - started, count + 1, characters + len(case.text)
            if case.kind is None:
                harmless[case.form] += 1
            else:
                all_planted[language, case.kind] += 1
            if case.kind == "phone":
                countries.add(case.form[-2:])
            expected = (case.kind, case.value)
            got = [(match.rule, case.text[match.start : match.end]) for match in finds]
            if case.kind and expected not in got:
                misses[language, case.kind, case.form].append(case.text)
            for found in got:
                hit = found == expected
                (right if hit else wrong)[language, found[0]] += 1
                if not hit:
                    wrongs[language, found[0], case.form].append(f"{found[1]!r} in {case.text}")

    for what, examples in (("wrong", wrongs), ("missed", misses)) if options.show else ():
        for key, cases in sorted(examples.items()):
            for text in cases[: options.show]:
                print(what, *key, "|", text)

    def shares(of) -> tuple[float, float]:
        """(precision, recall) over the (language, kind) pairs that `of` accepts."""
        hits, errors, total = (sum(n for pair, n in c.items() if of(*pair)) for c in (right, wrong, all_planted))
        return hits / max(1, hits + errors), hits / max(1, total)

    print(
        f"{count:,} texts in {len(languages)} languages, {all_planted.total():,} with personal data, "
        f"{harmless.total():,} with {len(harmless)} forms of harmless values; telephone numbers of "
        f"{len(countries)} countries; {characters / seconds / 1e6:.1f} million characters/s/core"
    )
    by_kind = {kind: shares(lambda _, k, kind=kind: k == kind) for kind in KINDS}
    rows = [(kind, sum(n for (_, k), n in all_planted.items() if k == kind), *by_kind[kind]) for kind in KINDS]
    print(table(["kind", "planted", "precision", "recall"], rows))
    by_language = {language: shares(lambda name, _, language=language: name == language) for language in languages}
    print(table(["language", "precision", "recall"], [(name, *found) for name, found in by_language.items()]))
    claims = []
    for kind, (precision, recall) in by_kind.items():
        claims += [
            Claim(f"{kind}: precision", precision, at_least=PRECISION),
            Claim(f"{kind}: recall", recall, at_least=RECALL),
        ]
    claims.append(Claim("lowest precision of a language", min(p for p, _ in by_language.values()), at_least=PRECISION))
    claims.append(Claim("lowest recall of a language", min(r for _, r in by_language.values()), at_least=RECALL))
    return verdict(claims)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
