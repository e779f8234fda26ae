"""What stands before a telephone number ("phone:", "rufen Sie uns an:", 電話) or before a number of another kind.

`Tel: 030 90182010` is a telephone number; `Order 030 90182010`, `ISBN 978-3-16-148410-0` and `pH 7.35-7.45` are not.
"""

from __future__ import annotations

import re

from nemotron_assets.text.personal_data.spans import BEGIN, END

WINDOW = 48

#: Nouns that name a telephone number. Those in Latin, Cyrillic, Greek or Hebrew letters are whole words.
_NOUNS = (
    "tel|telephone|phone|smartphone|ph|fax|facsimile|mobile|mob|cell|cellphone|hotline|helpline|whatsapp|viber|"
    "telefon|telefone|telefono|teléfono|telefoon|telefax|telefaks|faks|telefonnummer|telefoonnummer|telefonnr|handy|"
    "handynummer|mobil|mobilnummer|rufnummer|fernruf|durchwahl|tél|téléphone|télécopie|telephon|portable|celular|móvil|"
    "movil|cellulare|recapito|mobiel|gsm|tlf|tlph|komórka|kom|telemóvel|fone|telp|telepon|puh|puhelin|puhelinnumero|"
    r"sđt|đt|điện thoại|cep|тел|телефоны?|телефону|телефоном|факс|моб|сот|мобильный|мобільний|τηλ|τηλέφωνο|κιν|κινητό|"
    "φαξ|טל|טלפון|נייד|פקס"
)
_UNSPACED_NOUNS = (
    "电话|電話|手机|手機|传真|傳真|热线|熱線|客服|座机|联系方式|聯絡|致电|致電|携帯|ファックス|ファクス|ダイヤル|連絡先|お問い?合わせ|代表|"
    "전화|전화번호|연락처|팩스|휴대폰|휴대전화|핸드폰|문의|고객센터|โทร|โทรศัพท์|แฟกซ์|โทรสาร|มือถือ|เบอร์|ติดต่อ|สายด่วน|هاتف|الهاتف|جوال|الجوال|فاكس|الفاكس|تليفون|"
    "تلفون|موبايل|المحمول|واتساب|واتس|اتصل|الاتصال|للتواصل|للاتصال|تلفن|همراه|फ़ोन|फोन|मोबाइल|टेलीफोन|दूरभाष|हेल्पलाइन"
)
#: Verbs: "call 030 90182010". Numbers after them must look like telephone numbers, because one also "calls 12 345 678".
_VERBS = (
    "call|dial|ring|zadzwonić|text|reach|phoning|calling|anrufen|anruf|ruf|rufen|wählen|telefonisch|erreichbar|llame|llamar|"
    "llámenos|llama|marque|appelez|appeler|joignable|joindre|chiamare|chiama|chiamate|chiami|bel|bellen|zadzwoń|"
    "dzwonić|dzwoń|ligue|ligar|liga|звоните|позвоните|звонить|телефонуйте|ringa|ringe|arayın|hubungi|gọi"
)
#: Words between a cue and its number: "call us on", "rufen Sie uns an:", "zadzwoń pod numer".
_NUMBER = (
    "no|nr|num|numbers?|nummer|numer|numero|numéro|número|номера?|номеру|id|code|[n№][.°º]{0,2}|番号|号码?|號碼?|번호|หมายเลข|"
    "رقم"
)
_BETWEEN = (
    rf"(?:[ .]{{0,2}}(?:{_NUMBER}|us|me|at|on|is|the|our|office|sie|uns|an|unter|der|die|au|le|nous|al|el|il|lo|o|"
    r"op|ons|via|pod|para|pelo|нам|по|на|till|på|oss|os|は|が|는|은|로|번|ที่|คือ|الرقم|على|نمبر|नंबर|पर|\([^()\n]{1,16}\))){0,4}"
    r"[\s:.\-=#/\"'：>）)]{0,6}\Z"
)
_CUE = re.compile(rf"(?:{BEGIN}(?:{_NOUNS})|{_UNSPACED_NOUNS}){_BETWEEN}", re.IGNORECASE)
_VERB = re.compile(rf"{BEGIN}(?:{_VERBS}){END}{_BETWEEN}", re.IGNORECASE)
#: Endings of a text before a number that is no telephone number, though a cue seems to stand there.
_NO_CUE = re.compile(
    rf"{BEGIN}(?:pH[\s:=]{{0,3}}|(?i:windows (?:phone|mobile)|android|ios|rfc|isbn(?:-1[03])?)[\s:.]{{0,3}})\Z"
)
#: Words whose numbers are written like telephone numbers: "Order no. 212-555-4321"; in 16 languages.
_OTHER = re.compile(
    rf"(?:{BEGIN}(?:"
    r"orders?|invoice|ticket|tracking|parcel|case|docket|serial|sku|part|model|item|lot|batch|account|acct|ref|"
    r"reference|isbn(?:-1[03])?|issn|ean|imei|version|ver|chapter|section|page|pages|pp|patent|policy|licen[cs]e|"
    r"article|receipt|confirmation|booking|transaction|bestellung|bestellnummer|bestellnr|auftrag|auftragsnummer|"
    r"rechnung|rechnungsnummer|artikelnummer|sendungsnummer|seriennummer|aktenzeichen|commande|facture|colis|pedido|"
    r"factura|encomenda|fatura|ordine|fattura|bestelling|bestelnummer|ordrenummer|ordernummer|factuur|zamówienie|"
    r"zamówienia|faktura|заказа?|сч[её]та?|накладная|beställning|ordre)|"
    r"订单|訂單|单号|編號|编号|注文|伝票|品番|주문|송장|운송장|คำสั่งซื้อ|พัสดุ|طلب|الطلب|فاتورة|ऑर्डर)"
    rf"(?:[ .]{{0,2}}(?:{_NUMBER}|de|des|del|do|of)){{0,3}}[\s:.\-=#/\"'：]{{0,6}}\Z",
    re.IGNORECASE,
)


def names_phone(before: str) -> bool:
    """Whether a text ends by naming a telephone number: "Tel. no.: "."""
    return _CUE.search(before) is not None and not _NO_CUE.search(before)


def asks_to_call(before: str) -> bool:
    """Whether a text ends by asking to call a number: "Call us on "."""
    return _VERB.search(before) is not None


def names_other_number(before: str) -> bool:
    """Whether a text ends by naming a number that is no telephone or card number: "Order no. "."""
    return _OTHER.search(before) is not None
