"""A tag with very many attributes is refused before a parser needs minutes for it; honest pages are not touched."""

import functools
import time

import polars as pl
import pytest
from fastwarc import ArchiveIterator

from nemotron_assets.math.markup import prepare
from nemotron_assets.math.typeset import parsed_mathml
from nemotron_assets.recipe import load_recipe
from nemotron_assets.text.attributes import MAX_ATTRIBUTES, TooManyAttributes, check_attributes
from nemotron_assets.web.extract import extract_pages
from resources.compute import Compute
from resources.crawl import SAMPLE

NAMES = [f"a{n}" for n in range(200_000)]
PROSE = "The quick brown fox jumps over the lazy dog, and everybody in the whole village is happy about it. "
HOSTILE = {
    "plain": f"<p>{PROSE}</p><div {' '.join(NAMES)}>",
    "valued": "<div " + " ".join(f"{name}=1" for name in NAMES) + ">",
    "with_brackets_in_quotes": "<div " + " ".join(f"{name}='>'" for name in NAMES) + ">",
    "without_spaces": "<div " + "".join(f'{name}="<p>"' for name in NAMES) + ">",
    "slashes": f"<div/{'/'.join(NAMES)}>",
    "unclosed": f"<div {' '.join(NAMES)}",
    "closing_tag": f"<div></div {' '.join(NAMES)}>",
    "many_bodies": "".join(f"<body {name}>" for name in NAMES),
    "of_a_script": f"<script {' '.join(NAMES)}>1</script>",
    "of_a_style": f"<p><style {' '.join(NAMES)}",
    "in_a_style_of_a_drawing": f"<svg><style><a {' '.join(NAMES)}></a></style></svg>",
    "in_a_script_of_a_drawing": f"<SVG a=b><script>1</script><p></p><g><script><style><a {' '.join(NAMES)}",
    "in_a_style_of_a_formula": f"<math/><math><mtext></mtext><style>a<b{'{}'}</style><style><b {' '.join(NAMES)}",
    "after_a_comment": f"<!--> <a <b --!><script>if (a<b) 1</script><div {' '.join(NAMES)}>",
}


def cpu(read, *args) -> float:
    """The least CPU time of three calls, in seconds."""
    times = []
    for _ in range(3):
        before = time.process_time()
        try:
            read(*args)
        except TooManyAttributes:
            pass
        times.append(time.process_time() - before)
    return min(times)


@pytest.mark.parametrize("page", HOSTILE.values(), ids=HOSTILE)
def test_many_attributes_are_refused_in_the_time_of_an_honest_page(page):
    honest = f"<html><body>{f'<p class=a>{PROSE}</p>' * 50}</body></html>"
    with pytest.raises(TooManyAttributes, match="a tag has 5,000 attributes or more"):
        check_attributes(page)
    for read in (check_attributes, lambda text: prepare(text, "a"), parsed_mathml):
        with pytest.raises(TooManyAttributes):
            read(page)
        assert cpu(read, page) < 20 * cpu(prepare, honest, "a") + 0.5


@pytest.mark.parametrize(
    "page",
    [
        f"<div {' '.join(NAMES[: MAX_ATTRIBUTES - 1])}>",
        f"<div title='{' '.join(NAMES)}' b=\"{' '.join(NAMES)}\">",
        f"<p>1 < {' '.join(NAMES)}</p>",
        f"<!-- <a {' '.join(NAMES)} -->",
        f"<script>if (a<b) {{ {' '.join(NAMES)} }}</script><p>",
        f"<STYLE media=a>a<b {' '.join(NAMES)}</style ><p>",
        "".join(f"<a {name}>" for name in NAMES),
        f"<svg></svg><script>for (i = 0; i<n; i++) {{ if (i > 3) return; }} {' '.join(NAMES)}</script><p>",
    ],
    ids=["fewer", "long-values", "text", "comment", "script", "style", "many-tags", "script-after-a-drawing"],
)
def test_what_only_looks_like_many_attributes_is_not_refused(page):
    check_attributes(page)


@pytest.mark.parametrize(
    "piece",
    [
        "<a",
        '<a"',
        "<!-",
        "<!--",
        "- ",
        "<script>",
        "</script",
        "</",
        "= ",
        "/ ",
        "a='",
        '<a b="',
        "<a b=' ",
        "< ",
        "<a\n=>",
        "<style><!--</style>",
    ],
)
@pytest.mark.parametrize("before", ["", "<a ", "<!--", "<script ", "<script>", "<svg>"])
def test_the_check_takes_linear_time(before, piece):
    small, large = before + piece * 20_000, before + piece * 320_000
    assert cpu(check_attributes, large) < 20 * 16 * cpu(check_attributes, small) + 0.5


def test_no_page_of_the_sample_is_refused():
    pages = 0
    for path in sorted(SAMPLE.glob("crawl-data/**/*.warc.gz")):
        with path.open("rb") as file:
            for record in ArchiveIterator(file):
                check_attributes(record.reader.read().decode("utf-8", "replace"))
                pages += 1
    assert pages > 500


def test_such_a_row_alone_is_quarantined():
    honest = f"<p>{PROSE * 5}</p>".encode()
    html = [honest, HOSTILE["plain"].encode(), honest, HOSTILE["many_bodies"].encode()]
    pages = pl.DataFrame({"id": ["a", "b", "c", "d"], "html": html}).with_columns(
        charset=pl.lit("utf-8"), mime=pl.lit("text/html")
    )
    recipe, rejects, compute = load_recipe("laptop"), [], Compute(workers=1)
    extract = functools.partial(extract_pages, recipe=recipe.web.documents)
    found = list(compute.map(pages.to_arrow().to_batches(), extract, reject=rejects.append))
    compute.close()
    assert [id_ for frame in found for id_ in frame["id"]] == ["a", "c"]
    assert [(reject.row_id, reject.cause) for reject in rejects] == [
        ("b", "too_many_attributes"),
        ("d", "too_many_attributes"),
    ]
