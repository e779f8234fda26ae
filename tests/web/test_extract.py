"""Text and language of single pages: encodings, hostile markup, languages with and without stop lists."""

from __future__ import annotations

import ftfy
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemotron_assets.recipe import load_recipe
from nemotron_assets.recipe.web.documents import UnicodeRepair
from nemotron_assets.text.language import STOP_LISTS, detect, hint, stop_list
from nemotron_assets.text.personal_data import scrub
from nemotron_assets.web.extract import FATES, MATCH_COLUMNS, extract, extract_pages, repair
from nemotron_assets.web.paragraphs import NestedTooDeeply

RECIPE = load_recipe("nano2").web.documents.model_copy(update={"language_model": "lite", "min_characters": 50})
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


@pytest.mark.parametrize("extractor", ["justext", "resiliparse", "structure"])
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


@pytest.mark.parametrize(
    ("body", "charset"),
    [
        (b"\xef\xbb\xbf" + page(GERMAN, GERMAN).encode(), "utf-8"),
        (b"\xff\xfe" + page(GERMAN, GERMAN).encode("utf-16le"), "utf-16le"),
        (b"\xfe\xff" + page(GERMAN, GERMAN).encode("utf-16be"), "utf-16be"),
        (page(GERMAN, GERMAN).encode("utf-16le") + b"\x00", "utf-16le"),  # cut in the middle of a character
        (page(GERMAN, GERMAN).encode().replace(b"Winter", b"Win\x00\x00ter\x00"), "utf-8"),
    ],
    ids=["bom", "utf-16le", "utf-16be", "half-a-character", "nul"],
)
def test_marks_and_nuls_leave_no_trace(body, charset):
    found = text_of(body, charset)
    assert (found.fate, found.language) == ("document", "de")
    assert "Hügeln" in found.text
    assert not {"\x00", "\ufeff", "\ufffe"} & set(found.text)


def test_a_page_in_two_encodings_keeps_what_can_be_read():
    body = page(GERMAN, "@", GERMAN).encode().replace(b"@", (GERMAN + "é").encode("cp1252"))
    found = text_of(body)
    assert found.text.count("Hügeln") == 2
    assert (found.fate, found.language) == ("document", "de")


@pytest.mark.parametrize("half", ["&#xD83D;", "&#55357;&#56832;", "\\ud83d"])
def test_halves_of_characters_never_reach_the_text(half):
    found = text_of(page(f"{half} {PROSE}", PROSE, head=f"<title>{half}T</title>"))
    (found.text + found.title).encode()
    assert found.fate == "document"


def test_a_page_of_many_short_paragraphs_takes_linear_time():
    # jusText's own search for neighbours would take 10^10 steps here.
    found = text_of("<h2>Short</h2>" * 100_000 + page(PROSE, PROSE))
    assert found.fate == "document"


def test_addresses_that_cannot_be_parsed_do_no_harm():
    assert text_of('<iframe src="http://[x"></iframe><embed src="//[">' + page(PROSE, PROSE)).fate == "document"


@pytest.mark.parametrize("by", ["pycld2", "model"])
def test_what_chooses_the_stop_list(by):
    hebrew = "האגם נמצא בין שתי שורות של גבעות, והדרך המובילה אליו קיימת שם מאז שמישהו בכפר יכול לזכור."
    chosen = [hint(text, by, "lite", 4_000) for text in (PROSE, GERMAN, hebrew, PROSE + "\x00\x07\n\ufffe")]
    assert chosen == ["en", "de", "he", "en"]
    assert hint("", by, "lite", 4_000) not in STOP_LISTS or by == "model"
    assert text_of(page(GERMAN, GERMAN), language_hint=by).language == "de"


@given(st.text(max_size=200) | st.lists(st.sampled_from(
    ["plain line\n", "&amp; ", "<b>", "caf\u00c3\u00a9\n", "\r\n", "\x1b[1m", "\x07", "\u2019", "&lt;\n", "\u2028"]
)).map("".join))  # fmt: skip
def test_repair_is_ftfy(text):
    plain = dict.fromkeys(("fix_latin_ligatures", "fix_character_width", "uncurl_quotes", "fix_line_breaks"), False)
    assert repair(text, UnicodeRepair()) == ftfy.fix_text(text, **plain)
    published = RECIPE.unicode.model_copy(update={"normalization": None})
    assert repair(text, published) == ftfy.fix_text(text, **plain, normalization=None)
    everything = UnicodeRepair(**dict.fromkeys(plain, True))
    assert repair(text, everything) == ftfy.fix_text(text)


@pytest.mark.parametrize(
    "signs",
    ["，：！（）；？　～％＆＂＇１２３ＡＢｃ［］｛｝＠＃", "“清晨”‘安静’", "«guillemets» „unten“ ‚einfach‘ “don’t”",
     "ｱｲｳ ﾊﾟ｡｢｣", "ﬁ ﬂ ﬀ ﬃ ﬆ Ĳ", "a\u2028b\u2029c", "…—–·•′″"],
)  # fmt: skip
def test_signs_stay_as_they_are_written(signs):
    assert repair(f"{signs} {GERMAN}", RECIPE.unicode) == f"{signs} {GERMAN}"


def test_full_width_punctuation_and_curly_quotes_of_a_page_stay():
    sentence = "“清晨的港口十分安静，”渔民说：“我们不担心！”（船是新的；船员也一样。）价格是１２３元吗？"
    found = text_of(f"<html><head><title>“港口”，早晨</title></head><body>{f'<p>{sentence}</p>' * 4}</body></html>")
    assert found.text.count(sentence) == 4 and found.title == "“港口”，早晨"


def test_decomposed_letters_are_composed_unless_the_recipe_leaves_them():
    text = "Hu\u0308geln im Tal"
    assert repair(text, UnicodeRepair()) == "Hügeln im Tal"
    assert repair(text, UnicodeRepair(normalization=None)) == text


@pytest.mark.parametrize(
    ("text", "kind"),
    [("連絡先：ｊａｎｅ＠ａｃｍｅ．ｃｏ．ｊｐまで", "[email]"), ("電話：０３－３５８１－３１１１まで", "[phone]"),
     ("ＩＰは１０４．２７．１３１．８８です", "[ip]")],
)  # fmt: skip
def test_personal_data_in_full_width_signs_is_still_replaced(text, kind):
    """ftfy's repair no longer makes these signs ASCII before personal data is looked for."""
    assert kind in scrub(text, RECIPE.privacy).text


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
    assert found.columns == [
        "id",
        "url",
        "title",
        "language",
        "language_score",
        "text",
        "characters",
        "fate",
        *MATCH_COLUMNS,
    ]
    assert found["id"].to_list() == ["a", "b"]
    assert found["fate"].to_list() == ["document", "no_text"]
    assert extract_pages(frame[:0], RECIPE).schema == found.schema


def test_every_stop_list_exists_and_the_detector_stays_offline():
    assert all(stop_list(language) for language in STOP_LISTS)
    assert stop_list("zh") is None
    assert detect("123 !?", "lite", 100)[1] < 0.5
    assert detect("", "lite", 100)[1] <= 0.3
