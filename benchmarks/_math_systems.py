"""Runs one system of the extraction benchmark over all pages, in a process of its own, and prints its CPU seconds.

    python benchmarks/_math_systems.py NAME pages.jsonl out.jsonl [BATCH]

Each line of the input is {"page": decoded HTML}; the output has a line {"text": …} for each. The time to load libraries
and to read a first page is not counted; the time of all processes that the system starts is counted.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Callable


def html2text(page: str) -> str:
    import html2text as library

    reader = library.HTML2Text(bodywidth=0)
    reader.ignore_links = True
    return reader.handle(page)


def cpu() -> float:
    """User and system seconds of this process and of the processes that it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def system(name: str) -> Callable[[list[str]], list[str]]:
    if name == "ours":
        from nemotron_assets.math.render import Rendered, render_pages
        from resources.lynx import Lynx

        return lambda pages: [r.text if isinstance(r, Rendered) else "" for r in render_pages(pages, Lynx())]
    if name == "html2text":
        return lambda pages: [_or_nothing(html2text, page) for page in pages]
    from nemotron_assets.math.extractors import extract

    return lambda pages: [extract(name, page) for page in pages]


def _or_nothing(extract: Callable[[str], str], page: str) -> str:
    try:
        return extract(page)
    except Exception:
        return ""


def main(name: str, source: str, target: str) -> None:
    with open(source) as lines:
        pages = [json.loads(line)["page"] for line in lines]
    run = system(name)
    run(pages[:1])
    before = cpu()
    texts = run(pages)
    used = cpu() - before
    with open(target, "w") as out:
        out.writelines(json.dumps({"text": text}) + "\n" for text in texts)
    print(json.dumps({"cpu_seconds": used}))


if __name__ == "__main__":
    main(*sys.argv[1:4])
