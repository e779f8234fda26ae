"""Text and language of single pages: encodings, hostile markup, languages with and without stop lists."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemotron_assets.recipe import current_recipe
from nemotron_assets.web.extract import FATES, NestedTooDeeply, extract, extract_pages
from nemotron_assets.web.language import STOP_LISTS, detect, stop_list

RECIPE = current_recipe().documents
PROSE = (
    "The lake lies between two ranges of hills, and the road that leads to it has been there for as long as anyone in "
    "the village can remember. In the winter it is closed, because the snow would make it impossible to get through, "
    "but as soon as the first warm days of the spring have come the people go up there again with their animals."
)
GERMAN = (
    "Der See liegt zwischen zwei Hügeln, und die Straße, die zu ihm führt, gibt es schon so lange, wie sich jemand im "
    "Dorf erinnern kann. Im Winter ist sie gesperrt, weil man durch den Schnee nicht hindurchkäme, aber sobald die "
    "ersten warmen Tage gekommen sind, gehen die Leute mit ihren Tieren wieder dort hinauf, wie sie es immer taten."
)


def page(*paragraphs: str, head: str = "") -> str:
    menu = "".join(f"<li><a href='/{n}'>Section {n}</a></li>" for n in range(30))
    body = "".join(f"<p>{text}</p>" for text in paragraphs)
    return f"<html><head>{head}</head><body><ul>{menu}</ul><div>{body}</div></body></html>"


def text_of(markup: str | bytes, charset: str = "utf-8", mime: str = "text/html", **changes):
    body = markup if isinstance(markup, bytes) else markup.encode()
    return extract(body, charset, mime, RECIPE.model_copy(update=changes))


@pytest.mark.parametrize("extractor", ["justext", "resiliparse"])
def test_prose_is_kept_and_navigation_is_not(extractor):
    found = text_of(page(PROSE, PROSE, head="<title> The\n lake </title>"), extractor=extractor)
    assert (found.fate, found.language, found.title) == ("document", "en", "The lake")
    assert found.text.count("between two ranges of hills") == 2
    assert "Section 7" not in found.text
    assert found.characters == len(found.text)
    assert found.language_score > 0.9


def test_the_page_s_own_declaration_cannot_undo_the_decoding():
    head = '<meta charset="iso-8859-1">'
    markup = '<?xml version="1.0" encoding="ISO-8859-1"?>' + page(GERMAN, GERMAN, head=head)
    found = text_of(markup)
    assert found.language == "de"
    assert "Hügeln" in found.text
    assert text_of(markup.encode("cp1252"), "windows-1252").text == found.text


def test_unicode_is_repaired_after_extraction():
    broken = GERMAN.encode().decode("cp1252", "replace").replace("\ufffd", "")
    assert "HÃ¼geln" in broken
    assert "Hügeln" in text_of(page(broken, broken)).text


def test_languages_without_a_stop_list_are_read_by_resiliparse():
    chinese = "这个湖位于两座山之间,通往那里的路自村里人记事起就一直存在。冬天因为下雪道路封闭。" * 4
    found = text_of(page(chinese))
    assert (found.fate, found.language) == ("document", "zh")
    assert "通往那里的路" in found.text


def test_plain_text_is_not_parsed():
    found = text_of(f"{PROSE}\r\nif a < b and c > d: <p>kept</p>  \r\n", mime="text/plain")
    assert found.text.endswith("if a < b and c > d: <p>kept</p>")
    assert "\r" not in found.text
    assert found.title is None


@pytest.mark.parametrize(
    ("markup", "changes", "fate"),
    [
        ("", {}, "no_text"),
        ("<!-- nothing", {}, "no_text"),
        (page(), {}, "no_text"),
        (page(PROSE, PROSE), {"min_characters": 5_000}, "too_short"),
        (page(PROSE, PROSE), {"language_min_score": 1.0}, "language_unsure"),
    ],
)
def test_pages_that_become_no_document_say_why(markup, changes, fate):
    assert text_of(markup, **changes).fate == fate
    assert fate in FATES


def test_deeply_nested_pages_are_read_or_refused_but_never_cut_silently():
    inside = f"<p>{PROSE}</p><p>{PROSE}</p>"
    assert text_of("<div>" * 1_500 + inside).fate == "document"
    with pytest.raises(NestedTooDeeply):
        text_of("<font>" * 20_000 + inside)


def test_long_pages_are_cut():
    found = text_of(page(*[PROSE] * 50), max_html_characters=5_000)
    assert found.fate == "document"
    assert found.characters < 5_000


def test_huge_attributes_and_impossible_references_do_no_harm():
    assert text_of(f'<a href="{"y" * 3_000_000}">t</a>' + page(PROSE, PROSE)).fate == "document"
    found = text_of(page(f"&#xD800;&#0; {PROSE}", PROSE))
    assert found.fate == "document"
    found.text.encode()


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=400), st.sampled_from(["utf-8", "windows-1252", "utf-16le", "shift_jis", "gb18030"]))
def test_any_bytes_give_a_result(body, charset):
    found = text_of(b"<html><body><p>" + body, charset)
    assert found.fate in FATES
    found.text.encode()


def test_frames_keep_their_other_columns_and_their_order():
    html = [page(PROSE, PROSE).encode(), b""]
    frame = pl.DataFrame({"id": ["a", "b"], "url": "u", "html": html, "charset": "utf-8", "mime": "text/html"})
    found = extract_pages(frame, RECIPE)
    assert found.columns == ["id", "url", "title", "language", "language_score", "text", "characters", "fate"]
    assert found["id"].to_list() == ["a", "b"]
    assert found["fate"].to_list() == ["document", "no_text"]
    assert extract_pages(frame[:0], RECIPE).schema == found.schema


def test_every_stop_list_exists_and_the_detector_stays_offline():
    assert all(stop_list(language) for language in STOP_LISTS)
    assert stop_list("zh") is None
    assert detect("123 !?", "lite", 100)[1] < 0.5
    assert detect("", "lite", 100)[1] <= 0.3
