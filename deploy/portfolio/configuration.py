"""The configuration that the sample portfolio needs, as bodies for `PUT /v1/config/{kind}/{id}`.

In: where the sandbox is, which accounts it knows, the text of the ladder of each portfolio. Out:
entries in the order in which they must be stored: tenant, accounts, templates, packs, ladders,
portfolios. Templates are found in the ladders themselves, so another ladder needs no change here.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
import yaml

from deploy.portfolio.debtors import BRAZIL, UNITED_STATES, LadderStep, Market

RATE_PER_SECOND = 2_000.0  # the sandbox takes more; a real number takes far less
LOCALES = ("pt-BR", "en-US", "es")
TEXTS: Mapping[str, Mapping[str, str]] = {
    "before": {
        "pt-BR": "Olá {name}, aqui é {creditor}. Sua parcela de {amount} vence em {due_date}.",
        "en-US": "Hello {name}, this is {creditor}. Your payment of {amount} is due {due_date}.",
        "es": "Hola {name}, le escribe {creditor}. Su pago de {amount} vence el {due_date}.",
    },
    "reminder": {
        "pt-BR": "{name}, não localizamos o pagamento de {amount}, vencido em {due_date}. "
        "Responda com a data em que pode pagar. {creditor}",
        "en-US": "{name}, we have not found your payment of {amount}, due {due_date}. "
        "Reply with the day you can pay. {creditor}",
        "es": "{name}, no encontramos su pago de {amount}, vencido el {due_date}. "
        "Responda con el día en que puede pagar. {creditor}",
    },
    "notice": {
        "pt-BR": "{name}, seu débito de {amount} com {creditor}, vencido em {due_date}, segue em "
        "aberto. Fale conosco para negociar.",
        "en-US": "{name}, your debt of {amount} with {creditor}, due {due_date}, is still open. "
        "Contact us to arrange payment. This is a communication from a debt collector.",
        "es": "{name}, su deuda de {amount} con {creditor}, vencida el {due_date}, sigue abierta. "
        "Comuníquese para acordar el pago. Esta es una comunicación de un cobrador de deudas.",
    },
    "formal": {
        "pt-BR": "Aviso a {name}: débito de {amount} com {creditor}, vencido em {due_date}. "
        "Sem acordo, o caso segue para as próximas etapas previstas em contrato.",
        "en-US": "Notice to {name}: {amount} owed to {creditor}, due {due_date}. Without an "
        "arrangement the case moves to its next stage. This is from a debt collector.",
        "es": "Aviso a {name}: {amount} adeudado a {creditor}, vencido el {due_date}. Sin acuerdo "
        "el caso pasa a la siguiente etapa. Esto proviene de un cobrador de deudas.",
    },
}
OPT_OUT = {
    "pt-BR": " Responda SAIR para não receber mais.",
    "en-US": " Reply STOP to opt out.",
    "es": " Responda STOP para no recibir más.",
}


class Sender(msgspec.Struct, frozen=True):
    """One account as the sandbox knows it, and the references to its secrets."""

    account_id: str
    number: str
    base_url: str
    credentials: Mapping[str, str]
    provider: str = "twilio"


class Choice(msgspec.Struct, frozen=True):
    """What one portfolio runs on: its ladder (id and text), packs (id to text) and sender."""

    ladder_id: str
    ladder: str
    packs: Mapping[str, str]
    sender: Sender


Entry = tuple[str, str, dict[str, Any]]


def entries(*, tenant_id: str, brazil: Choice, united_states: Choice) -> Iterator[Entry]:
    """Yield (kind, id, body) in the order in which they must be stored."""
    yield "tenant", tenant_id, {"name": "Sample Collections"}
    choices = ((BRAZIL, brazil), (UNITED_STATES, united_states))
    for market, choice in choices:
        yield "account", choice.sender.account_id, _account(market, choice.sender)
    seen: set[tuple[str, str]] = set()
    for _, choice in choices:
        for entry in _documents(choice):
            if entry[:2] not in seen:
                seen.add(entry[:2])
                yield entry
    for market, choice in choices:
        yield "portfolio", market.portfolio_id, _portfolio(market, choice)


def steps_of(ladder: str) -> list[LadderStep]:
    """Return what the sample needs to know of a ladder's steps, in order of offset."""
    steps = [
        LadderStep(
            key=step["key"],
            offset_days=step["offset_days"],
            stage=step["stage"],
            channel=_channels(step)[0],
        )
        for step in _steps(ladder)
    ]
    return sorted(steps, key=lambda step: step.offset_days)


def _documents(choice: Choice) -> Iterator[Entry]:
    for step in _steps(choice.ladder):
        for channel, template_id in step.get("templates", {}).items():
            yield "template", template_id, _template(channel, step)
    for pack_id, text in choice.packs.items():
        yield "pack", pack_id, {"text": text}
    yield "ladder", choice.ladder_id, {"text": choice.ladder}


def _template(channel: str, step: Mapping[str, Any]) -> dict[str, Any]:
    texts = TEXTS[_tone(step)]
    return {
        "channel": channel,
        "content_class": step.get("content_class", "utility"),
        "texts": {locale: texts[locale] + OPT_OUT[locale] for locale in LOCALES},
        "tone": "neutral",
    }


def _tone(step: Mapping[str, Any]) -> str:
    if step["offset_days"] <= 0:
        return "before"
    stage = step["stage"] if isinstance(step["stage"], int) else 0
    return ("reminder", "notice", "formal")[min(stage, 2)]


def _account(market: Market, sender: Sender) -> dict[str, Any]:
    return {
        "channel": "sms",
        "provider": sender.provider,
        "sender": sender.number,
        "rate_per_second": RATE_PER_SECOND,
        "credentials": dict(sender.credentials),
        "base_url": sender.base_url,
        "countries": [market.country],
        "roles": [_role(market)],
    }


def _portfolio(market: Market, choice: Choice) -> dict[str, Any]:
    brazilian = market.country == "BR"
    body: dict[str, Any] = {
        "creditor_name": "Casa Aurora" if brazilian else "Lakeside Recovery",
        "collector_role": _role(market),
        "country": market.country,
        "currency": market.currency,
        "locale": "pt-BR" if brazilian else "en-US",
        "ladder_id": choice.ladder_id,
        "accounts": {"sms": choice.sender.account_id},
        "packs": list(choice.packs),
        "creditor_contact": "https://pay.example.com",
    }
    if brazilian:
        body["creditor_document"] = "12.345.678/0001-95"
        body["zone"] = "America/Sao_Paulo"
    return body


def _role(market: Market) -> str:
    return "first_party" if market.country == "BR" else "third_party"


def _steps(ladder: str) -> Sequence[Mapping[str, Any]]:
    steps: Sequence[Mapping[str, Any]] = yaml.safe_load(ladder)["steps"]
    return steps


def _channels(step: Mapping[str, Any]) -> Sequence[str]:
    return step.get("channels") or ["sms"]
