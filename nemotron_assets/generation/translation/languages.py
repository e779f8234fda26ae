"""The languages that samples are translated into: their names, and how a question and an answer begin in each."""

from __future__ import annotations

#: The language of the samples.
SOURCE = "en"

#: The name of each language in the prompt.
NAMES = {
    "ar": "Arabic", "da": "Danish", "de": "German", "es": "Spanish", "fr": "French", "it": "Italian",
    "ja": "Japanese", "ko": "Korean", "nl": "Dutch", "pl": "Polish", "pt": "Portuguese", "ru": "Russian",
    "sv": "Swedish", "th": "Thai", "zh": "Simplified Chinese",
}  # fmt: skip

#: What stands for "Question: " and "Answer: " at the start of a line, with the blank that follows in the language.
LABELS = {
    "en": ("Question: ", "Answer: "), "ar": ("السؤال: ", "الجواب: "), "da": ("Spørgsmål: ", "Svar: "),
    "de": ("Frage: ", "Antwort: "), "es": ("Pregunta: ", "Respuesta: "), "fr": ("Question : ", "Réponse : "),
    "it": ("Domanda: ", "Risposta: "), "ja": ("質問：", "回答："), "ko": ("질문: ", "답변: "),
    "nl": ("Vraag: ", "Antwoord: "), "pl": ("Pytanie: ", "Odpowiedź: "), "pt": ("Pergunta: ", "Resposta: "),
    "ru": ("Вопрос: ", "Ответ: "), "sv": ("Fråga: ", "Svar: "), "th": ("คำถาม: ", "คำตอบ: "),
    "zh": ("问题：", "答案："),
}  # fmt: skip
