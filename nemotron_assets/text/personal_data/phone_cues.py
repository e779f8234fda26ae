"""What stands before a telephone number ("phone:", "rufen Sie uns an:", 電話) or before a number of another kind.

`Tel: 030 90182010` is a telephone number; `Order 030 90182010`, `ISBN 978-3-16-148410-0` and `pH 7.35-7.45` are not.
"""

from __future__ import annotations

import re

from nemotron_assets.text.personal_data.spans import BEGIN, END

WINDOW = 48

#: Nouns that name a telephone number. Those in Latin, Cyrillic, Greek or Hebrew letters are whole words.
_NOUNS = (
    "tel|telephone|phones?|smartphone|ph|fax|facsimile|hotline|helpline|infoline|landline|switchboard|helpdesk|whatsapp|"
    "viber|sms|cellphone|telefon|telefone|telefono|teléfono|telefoon|telefax|telefaks|faks|telefonnummer|telefoonnummer|"
    "telefonnr|handynummer|mobilnummer|mobilnr|rufnummer|fernruf|durchwahl|tél|téléphone|télécopie|telephon|standard|"
    "celular|móvil|movil|cellulare|recapito|numero verde|mobiel|gsm|tlf|tlph|komórka|telemóvel|fone|telp|telepon|puh|"
    r"infolinia|puhelin|puhelinnumero|sđt|đt|điện thoại|cep|тел|телефоны?|телефону|телефоном|факс|моб|сот|мобильный|"
    "мобільний|горячая линия|τηλ|τηλέφωνο|κιν|κινητό|φαξ|טל|טלפון|נייד|פקס"
)
#: Words that also mean other things than a telephone: "Mobile 1280 720". A colon, or the form of the number, decides.
_VAGUE = "mobile|mob|mobil|cell|handy|portable|kom|contact|kontakt|contacto|contato|contatto|т|t|m|p|f"
_UNSPACED_NOUNS = (
    "电话|電話|手机|手機|传真|傳真|热线|熱線|客服|座机|联系方式|联系人|联系|聯絡|致电|致電|携帯|ファックス|ファクス|ダイヤル|連絡先|お問い?合わせ|代表|"
    "전화|연락처|팩스|휴대폰|핸드폰|문의|고객센터|โทร|แฟกซ์|มือถือ|เบอร์|ติดต่อ|สอบถาม|สายด่วน|هاتف|جوال|فاكس|تليفون|تلفون|موبايل|المحمول|"
    "واتس|اتصل|الاتصال|للتواصل|للاتصال|للاستفسار|تلفن|همراه|फ़ोन|फोन|मोबाइल|टेलीफोन|दूरभाष|हेल्पलाइन|संपर्क|☎|☏|℡|📞|📱"
)
#: Verbs, and beginnings of words about telephones. A number after them must be written as telephone numbers are, and
#: few other numbers, because one also "calls 12 345 678 functions".
_VERBS = (
    "call|calls|dial|ring|text|reach|phoning|calling|anrufen|anruf|ruf|rufen|wählen|telefonisch|erreichbar|llame|llamar|"
    "llámenos|llámanos|llama|marque|appelez|appeler|joignable|joindre|chiamare|chiama|chiamate|chiami|telefonare|bel|"
    "bellen|zadzwoń|zadzwonić|dzwonić|dzwoń|ligue|ligar|liga|звоните|позвоните|звонить|телефонуйте|ringa|ringe|arayın|"
    "hubungi|gọi"
)
_STEMS = (
    "tel|telef|telep|téléph|teléf|phon|fax|mobil|mobiel|handy|hotlin|helplin|whatsapp|sms|celular|cellular|móvil|telemóv|"
    "komórk|tlf|тел|моб|факс|звон|позвон|справ|contact|kontakt|contat|comuníq|switchb|landline|helpdesk|appel|joign|llám|"
    "llam|chiam|zadzwo|dzwo|ligu|fale|anruf|ruf|erreich|call|dial|emergency|τηλ|κιν|טל|נייד"
)
#: Between a cue and its number, if the number is written as telephone numbers are: "Telefonnummer till receptionen:".
_NEAR = re.compile(
    rf"(?:{BEGIN}(?:{_STEMS}|(?:{_VERBS}){END})|{_UNSPACED_NOUNS})[^0-9\n]{{0,40}}\Z|{BEGIN}[TMF] \Z", re.IGNORECASE
)
#: Written in groups, as many other numbers are too: 2123 4567, 1-800-123456.
_SHAPED = re.compile(r"[0-9]{2,4}[ .-][0-9]|1[ -][0-9]{3}")
#: 030 90182010, (212) 736-5000, 8 (495) 939-10-00, 8-800-200-19-19, 13801234567, 400-820-8820.
_WRITTEN_AS_PHONE = re.compile(
    r"\(?0[0-9(]|0[ -][1-9][0-9]{2}|\([1-9][0-9]{0,4}\)|8[ -]\(?[3489][0-9]{2}\)?[ -]|1[3-9][0-9]{9}(?![0-9])|"
    r"1[ -]?[2-9]0{2}[ -]|1-[2-9][0-9]{2}-[0-9]{3}-|[1-9][0-9]{1,4}-[0-9]{3,4}-[0-9]{3,4}(?![0-9])|"
    r"[1-9][0-9](?:[ .][0-9]{2}){3}(?!\.?[0-9]| [0-9])"
)
_NUMBER = "no|nr|num|numbers?|nummer|numer|numero|numéro|número|numerem|номера?|номеру|id|code|[n№][.°º]{0,2}"
_UNSPACED_NUMBER = "番号|号码?|號碼?|번호|หมายเลข|رقم|№"
_JOINT = (
    rf"(?:[ ._-]{{1,2}}(?:{_NUMBER}|us|me|at|on|is|the|our|office|sie|uns|an|unter|der|die|au|le|nous|al|el|il|lo|o|"
    rf"op|ons|via|pod|para|pelo|нам|по|на|till|på|oss|os|de contacto)|[ ]?(?:{_UNSPACED_NUMBER}|は|が|는|은|로|번|是|ที่|"
    r"คือ|الرقم|على|نمبر|नंबर|पर|करें|\([^()\n]{1,16}\))){0,4}"
)
_SIGNS = r"[\s:.\-—=#/\"'：>()）]{0,6}\Z"
_CUE = re.compile(
    rf"(?:{BEGIN}(?:{_NOUNS})|{_UNSPACED_NOUNS})(?:{_JOINT}{_SIGNS}|[^0-9:\n]{{0,24}}: ?\Z)"
    rf"|{BEGIN}(?:{_VAGUE}){_JOINT}[ ]?[:：.][ ]{{0,3}}\Z",
    re.IGNORECASE,
)
_VERB = re.compile(rf"{BEGIN}(?:{_VERBS}|{_VAGUE}){END}{_JOINT}{_SIGNS}", re.IGNORECASE)
#: Endings of a text before a number that is no telephone number, though a cue seems to stand there.
_NO_CUE = re.compile(
    rf"{BEGIN}(?:pH[\s:=]{{0,3}}|(?i:windows (?:phone|mobile)|android|ios|rfc|isbn(?:-1[03])?)[\s:.]{{0,3}})\Z"
)
#: Words whose numbers are written like telephone numbers: "Order no. 212-555-4321"; in 16 languages.
_OTHER = re.compile(
    rf"(?:{BEGIN}(?:"
    r"orders?|invoice|ticket|tracking|parcel|case|docket|serial|sku|part|model|item|lot|batch|account|acct|ref|"
    r"reference|sn|s/n|isbn(?:-1[03])?|issn|ean|imei|version|ver|chapter|section|page|pages|pp|patent|policy|licen[cs]e|"
    r"article|receipt|confirmation|booking|transaction|bestellung|bestellnummer|bestellnr|auftrag|auftragsnummer|"
    r"rechnung|rechnungsnummer|artikelnummer|sendungsnummer|seriennummer|aktenzeichen|commande|facture|colis|pedido|"
    r"factura|encomenda|fatura|ordine|fattura|bestelling|bestelnummer|ordrenummer|ordernummer|factuur|zamówienie|"
    r"zamówienia|faktura|заказа?|сч[её]та?|накладная|beställning|ordre)|"
    r"订单|訂單|单号|編號|编号|注文|伝票|品番|주문|송장|운송장|คำสั่งซื้อ|พัสดุ|طلب|الطلب|فاتورة|ऑर्डर)"
    rf"(?:[ .]{{0,2}}(?:{_NUMBER}|{_UNSPACED_NUMBER}|de|des|del|do|of)){{0,3}}[\s:.\-=#/\"'：]{{0,6}}\Z",
    re.IGNORECASE,
)


def announces_phone(before: str, number: str) -> bool:
    """Whether the text before a number says that it is a telephone number.

    "Tel. no.: " says it of any number, "Call us on " and "Telefonisch erreichen Sie uns unter " of a number that is
    written as telephone numbers are.
    """
    if _CUE.search(before) and not _NO_CUE.search(before):
        return True
    if _WRITTEN_AS_PHONE.match(number):
        return _NEAR.search(before) is not None and not names_other_number(before)
    verb = _SHAPED.match(number) and _VERB.search(before)
    return bool(verb) and len(verb[0].split()) > 1


def names_other_number(before: str) -> bool:
    """Whether a text ends by naming a number that is no telephone or card number: "Order no. "."""
    return _OTHER.search(before) is not None
