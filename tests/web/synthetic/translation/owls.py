"""A sample of Diverse QA, and the answers of a good translator for every line and language."""

from __future__ import annotations

import re

from nemotron_assets.generation.translation.languages import NAMES

SAMPLE = """\
The owl hunts at night and sleeps during the day.
It weighs 2 kg and lives about 10 years, see https://owls.example/life?age=10 for details.

Question: What does the owl do at night?
Answer: It hunts mice and other small animals."""

LINES = (
    "The owl hunts at night and sleeps during the day.",
    "It weighs {A} and lives about {B} years, see {C} for details.",
    "What does the owl do at night?",
    "It hunts mice and other small animals.",
)

TRANSLATIONS = {
    "ar": (
        "تصطاد البومة في الليل وتنام خلال النهار.",
        "يبلغ وزنها {A} وتعيش حوالي {B} سنوات، انظر {C} لمزيد من التفاصيل.",
        "ماذا تفعل البومة في الليل؟",
        "إنها تصطاد الفئران وغيرها من الحيوانات الصغيرة.",
    ),
    "da": (
        "Uglen jager om natten og sover om dagen.",
        "Den vejer {A} og lever i omkring {B} år, se {C} for flere oplysninger.",
        "Hvad gør uglen om natten?",
        "Den jager mus og andre små dyr.",
    ),
    "de": (
        "Die Eule jagt in der Nacht und schläft am Tag.",
        "Sie wiegt {A} und lebt etwa {B} Jahre, Einzelheiten stehen unter {C}.",
        "Was macht die Eule in der Nacht?",
        "Sie jagt Mäuse und andere kleine Tiere.",
    ),
    "es": (
        "El búho caza de noche y duerme durante el día.",
        "Pesa {A} y vive unos {B} años, véase {C} para más detalles.",
        "¿Qué hace el búho por la noche?",
        "Caza ratones y otros animales pequeños.",
    ),
    "fr": (
        "La chouette chasse la nuit et dort pendant la journée.",
        "Elle pèse {A} et vit environ {B} ans, voir {C} pour plus de détails.",
        "Que fait la chouette la nuit ?",
        "Elle chasse des souris et d'autres petits animaux.",
    ),
    "it": (
        "Il gufo caccia di notte e dorme durante il giorno.",
        "Pesa {A} e vive circa {B} anni, vedi {C} per i dettagli.",
        "Che cosa fa il gufo di notte?",
        "Caccia topi e altri piccoli animali.",
    ),
    "ja": (
        "フクロウは夜に狩りをし、昼間は眠ります。",
        "体重は{A}で、およそ{B}年生きます。詳しくは{C}をご覧ください。",
        "フクロウは夜に何をしますか？",
        "ネズミやほかの小さな動物を狩ります。",
    ),
    "ko": (
        "올빼미는 밤에 사냥하고 낮에는 잠을 잡니다.",
        "몸무게는 {A}이고 약 {B}년을 살며, 자세한 내용은 {C}를 참고하세요.",
        "올빼미는 밤에 무엇을 합니까?",
        "쥐와 다른 작은 동물을 사냥합니다.",
    ),
    "nl": (
        "De uil jaagt 's nachts en slaapt overdag.",
        "Hij weegt {A} en leeft ongeveer {B} jaar, zie {C} voor meer informatie.",
        "Wat doet de uil 's nachts?",
        "Hij jaagt op muizen en andere kleine dieren.",
    ),
    "pl": (
        "Sowa poluje w nocy i śpi w ciągu dnia.",
        "Waży {A} i żyje około {B} lat, szczegóły na stronie {C}.",
        "Co sowa robi w nocy?",
        "Poluje na myszy i inne małe zwierzęta.",
    ),
    "pt": (
        "A coruja caça à noite e dorme durante o dia.",
        "Ela pesa {A} e vive cerca de {B} anos, veja {C} para mais detalhes.",
        "O que a coruja faz à noite?",
        "Ela caça ratos e outros animais pequenos.",
    ),
    "ru": (
        "Сова охотится ночью и спит днём.",
        "Она весит {A} и живёт около {B} лет, подробнее см. {C}.",
        "Что делает сова ночью?",
        "Она охотится на мышей и других мелких животных.",
    ),
    "sv": (
        "Ugglan jagar på natten och sover under dagen.",
        "Den väger {A} och lever i ungefär {B} år, se {C} för mer information.",
        "Vad gör ugglan på natten?",
        "Den jagar möss och andra små djur.",
    ),
    "th": (
        "นกฮูกออกล่าเหยื่อในเวลากลางคืนและนอนหลับในเวลากลางวัน",
        "มันหนัก {A} และมีชีวิตอยู่ประมาณ {B} ปี ดูรายละเอียดได้ที่ {C}",
        "นกฮูกทำอะไรในเวลากลางคืน",
        "มันล่าหนูและสัตว์เล็กอื่น ๆ",
    ),
    "zh": (
        "猫头鹰在夜间捕猎，白天睡觉。",
        "它重{A}，能活大约{B}年，详情请见{C}。",
        "猫头鹰晚上做什么？",
        "它捕食老鼠和其他小动物。",
    ),
}
_ASKED = re.compile(r"from English into ([\w ]+)\..*\nLine:\n(.*)\Z", re.S)
_LANGUAGES = {name: language for language, name in NAMES.items()}


def asked(messages: list[dict]) -> tuple[str, str]:
    """(language, line) of the question in chat messages."""
    found = _ASKED.search(messages[-1]["content"])
    return _LANGUAGES[found[1]], found[2]


def good_answer(language: str, line: str) -> str:
    """The answer of a good translator."""
    return f"<t>{TRANSLATIONS[language][LINES.index(line)]}</t>"
