"""Personal data in texts: rules find it, and the recipe says whether it is kept, replaced, or costs the document.

A rule searches for candidates cheaply (an @, a run of digits) and then tests each candidate: the domain of an e-mail
address has a public suffix, a telephone number is in its country's numbering plan, a card number has an issuer and a
correct check digit, an IP address is global unicast. Texts are full of things that only look like personal data, such
as version numbers, section numbers, and the values that standards reserve for examples; they stay.

Every search takes time linear in the text: patterns begin with one character class, have bounded repetitions, and can
match in one way only. Names and postal addresses are not searched for, because rules cannot tell them from other words.

`emails`, `phones`, `ip_addresses` and `payment` find one kind each, `finding` puts their matches in order, and
`replacing` changes the text.
"""

from nemotron_assets.text.personal_data.finding import Match, find
from nemotron_assets.text.personal_data.payment import is_card_number, is_iban
from nemotron_assets.text.personal_data.replacing import Scrubbed, UnstableText, scrub

__all__ = ["Match", "Scrubbed", "UnstableText", "find", "is_card_number", "is_iban", "scrub"]
