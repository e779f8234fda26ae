"""Finds refusals in the target language: "Lo siento, no puedo" is Spanish of a plausible length, and yet not a
translation."""

from __future__ import annotations

import re

#: How a refusal begins, by language.
_REFUSALS = {
    "ar": r"آسف|أعتذر|عذر[اً]|لا (?:أستطيع|يمكنني)|بصفتي نموذج",
    "da": r"beklager|undskyld|jeg kan (?:desværre )?ikke|som (?:en )?(?:ai|sprogmodel)",
    "de": r"(?:es )?tut mir (?:sehr )?leid|entschuldig(?:ung|en sie)|ich kann (?:das |dir |ihnen |dabei |leider )*nicht"
    r"|als (?:ki|sprachmodell)",
    "es": r"lo siento|disculp[ae]|lamento|(?:yo )?no puedo|como (?:modelo de lenguaje|(?:una )?ia\b)",
    "fr": r"(?:je suis )?désolée?|je m['’]excuse|je ne (?:peux|puis) pas"
    r"|en tant qu(?:e|['’]) ?(?:ia|modèle de langage)",
    "it": r"mi dispiace|(?:mi )?scus[ai]|non posso|come (?:modello linguistico|ia\b)",
    "ja": r"申し訳|すみません|ごめんなさい|お手伝いできません|私はAI",
    "ko": r"죄송|미안|도와\s?드릴 수 없|저는 (?:AI|인공지능)",
    "nl": r"het spijt me|sorry|mijn excuses|ik kan (?:dit |dat |je |u |hier )*niet|als (?:ai|taalmodel)",
    "pl": r"przepraszam|przykro mi|niestety,? nie|nie mogę|jako (?:model językowy|si\b)",
    "pt": r"desculp[ae]|lamento|sinto muito|(?:eu )?não posso|como (?:um )?modelo de linguagem",
    "ru": r"извините|простите|к сожалению|мне жаль|я не могу|как (?:языковая модель|ии\b)",
    "sv": r"(?:jag )?beklagar|förlåt|ursäkta|jag kan (?:tyvärr )?inte|som (?:en )?(?:ai|språkmodell)",
    "th": r"ขอโทษ|ขออภัย|เสียใจ|ไม่สามารถช่วย|ในฐานะ(?:โมเดล|ปัญญา)",
    "zh": r"(?:很)?抱歉|对不起|对不住|我(?:不能|无法)|作为(?:一个)?(?:AI|人工智能|语言模型)",
}
_FOUND = {
    language: re.compile(rf"^\W*(?:{words})", re.I | re.M) for language, words in _REFUSALS.items()
}  # fmt: skip
#: What an English line says whose faithful translation begins like a refusal.
_ENGLISH = re.compile(
    r"\b(?:sorry|apolog\w+|excuse|forgive|pardon|regret\w*|unfortunately|sad|unable|can ?not|can['’]t|not able|may not|"
    r"must not|as an? (?:ai|language))\b",
    re.I,
)


def refusal(source: str, translation: str, language: str) -> str:
    """How a translation refuses, if it begins a line like a refusal and its English source says nothing of the kind;
    "" otherwise."""
    found = _FOUND[language].search(translation)
    return found[0].strip() if found and not _ENGLISH.search(source) else ""
