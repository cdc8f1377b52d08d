"""What imaginary debtors write: replies by intent in Portuguese, English and Spanish.

In: intent, language, the text they answer to, the date, and luck. Out: a `Reply` with its words
and, for a promise, the fraction and day promised. Amounts are taken from the message itself, as a
person would; the wording varies in spelling, case and accents, as people's does.
"""

import re
from datetime import date, timedelta

import msgspec

_AMOUNT = re.compile(r"(?:R\$|US\$|\$|€)\s?(\d{1,3}(?:[.,]\d{3})*[.,]\d{2}|\d+)")
_PART = 0.5  # the share that people offer when they cannot pay all

KEYWORDS = ("STOP", "Stop", "UNSUBSCRIBE", "stop", "CANCEL", "END", "QUIT")

WORDS: dict[str, dict[str, tuple[str, ...]]] = {
    "opt_out_words": {
        "pt": ("SAIR", "Parar", "PARE", "Não me mande mais mensagens", "sair por favor",
               "me tira dessa lista"),
        "en": ("Please stop texting me", "remove me from your list", "Unsubscribe me please",
               "Do not contact me again", "stop texting this number"),
        "es": ("PARAR", "BAJA", "No me escriban más", "Por favor no manden mas mensajes",
               "cancelar mensajes"),
    },
    "promise": {
        "pt": ("Vou pagar {amount} dia {day}", "Pago {amount} em {day} sem falta",
               "consigo pagar {amount} no dia {day}", "Prometo pagar {amount} até {day}"),
        "en": ("I will pay {amount} on {day}", "I can pay {amount} by {day}",
               "Will send {amount} on {day}, promise", "ill pay {amount} {day}"),
        "es": ("Voy a pagar {amount} el {day}", "Pago {amount} el {day}",
               "puedo pagar {amount} el día {day}", "Prometo pagar {amount} antes del {day}"),
    },
    "paid": {
        "pt": ("Já paguei", "ja paguei ontem", "Esse boleto já foi pago", "JÁ PAGUEI ISSO"),
        "en": ("I already paid this", "Already paid", "paid it last week", "this was paid"),
        "es": ("Ya pagué", "ya pague la semana pasada", "Eso ya está pagado", "YA PAGUÉ"),
    },
    "dispute": {
        "pt": ("Não reconheço essa dívida", "Não devo nada a vocês", "Esse valor está errado",
               "cobrança indevida"),
        "en": ("I don't owe this", "I dispute this debt", "This amount is wrong",
               "not my debt, send proof"),
        "es": ("No reconozco esa deuda", "No debo nada", "Ese monto está equivocado",
               "cobro indebido"),
    },
    "wrong_person": {
        "pt": ("Número errado", "Não conheço essa pessoa", "Aqui não é ela, número errado",
               "esse telefone não é mais dela"),
        "en": ("Wrong number", "You have the wrong person", "I don't know that person",
               "wrong number, this is not him"),
        "es": ("Número equivocado", "No conozco a esa persona", "Se equivocó de número",
               "esa persona no vive aqui"),
    },
    "help": {
        "pt": ("AJUDA", "Como faço para pagar?", "Pode parcelar?", "manda o boleto"),
        "en": ("HELP", "How can I pay?", "Can I pay in installments?", "who is this"),
        "es": ("AYUDA", "¿Cómo puedo pagar?", "¿Puedo pagar en cuotas?", "quién es"),
    },
    "unclear": {
        "pt": ("ok", "hm", "depois a gente vê", "👍", "to sem tempo agora", "?"),
        "en": ("ok", "k", "call me maybe", "👍", "busy now", "?"),
        "es": ("ok", "mmm", "luego vemos", "👍", "ahora no puedo", "?"),
    },
}  # fmt: skip


class Reply(msgspec.Struct, frozen=True):
    """A reply: its words; for a promise also the fraction of the debt and the day."""

    text: str
    fraction: float | None = None
    due: date | None = None


def compose(
    intent: str, language: str, answered: str, *, today: date, days: tuple[int, int], luck: int
) -> Reply:
    """Write the reply of `intent` to the message `answered`; promises fall within `days`."""
    if intent == "opt_out_keyword":
        return Reply(KEYWORDS[luck % len(KEYWORDS)])
    choices = WORDS[intent][language]
    text = choices[luck % len(choices)]
    if intent != "promise":
        return Reply(text)
    low, high = days
    due = today + timedelta(days=low + luck // 7 % (high - low + 1))
    fraction = _PART if luck // 3 % 4 == 0 else 1.0
    amount = _offer(answered, language, fraction, luck)
    return Reply(text.format(amount=amount, day=_day(due, language)), fraction, due)


def language_of(recipient: str, *, spanish: bool) -> str:
    """Return the language a person at this number writes."""
    if recipient.startswith("+55"):
        return "pt"
    if recipient.startswith("+1"):
        return "es" if spanish else "en"
    return "es"


def _offer(answered: str, language: str, fraction: float, luck: int) -> str:
    """Return the amount offered: that of the message or a part of it, written as people write."""
    found = _AMOUNT.search(answered)
    cents = _cents(found.group(1)) if found else 10_000 + luck % 90_000
    cents = int(cents * fraction)
    whole, rest = divmod(cents, 100)
    if language == "pt":
        return f"R$ {whole:,}".replace(",", ".") + f",{rest:02d}"
    return f"${whole:,}.{rest:02d}"


def _cents(text: str) -> int:
    if len(text) > 2 and text[-3] in ".,":  # noqa: PLR2004 - two digits behind the separator
        return int(re.sub(r"[.,]", "", text))
    return int(re.sub(r"[.,]", "", text)) * 100


def _day(due: date, language: str) -> str:
    if language == "en":
        return f"{due.month}/{due.day}"
    return f"{due.day:02d}/{due.month:02d}"
