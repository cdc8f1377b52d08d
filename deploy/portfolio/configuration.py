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
# The stages that ladders name, mildest first: a debt's stage is an index into them.
STAGES = ("reminder", "notice", "extrajudicial", "bureau", "judicial")
TEXTS: Mapping[str, Mapping[str, str]] = {
    "before": {
        "pt-BR": "Olá {first_name}, aqui é {creditor_name}. Seu pagamento de {amount} vence em "
        "{due_date}. {opt_out}",
        "en-US": "Hello {first_name}, this is {creditor_name}. Your payment of {amount} is due "
        "{due_date}. {opt_out}",
        "es": "Hola {first_name}, le escribe {creditor_name}. Su pago de {amount} vence el "
        "{due_date}. {opt_out}",
    },
    "reminder": {
        "pt-BR": "{first_name}, ainda não localizamos o pagamento de {amount}, vencido em "
        "{due_date}. Responda com o dia em que pode pagar. {creditor_name}. {opt_out}",
        "en-US": "{first_name}, we have not found your payment of {amount}, due {due_date}. Reply "
        "with the day you can pay. {creditor_name}, a debt collector. {opt_out}",
        "es": "{first_name}, aún no encontramos su pago de {amount}, vencido el {due_date}. "
        "Responda con el día en que puede pagar. {creditor_name}, cobrador de deudas. {opt_out}",
    },
    "validation": {
        "pt-BR": "{first_name}, {creditor_name} cobra {amount}, vencido em {due_date}. Para "
        "contestar ou conferir: {creditor_contact}. {opt_out}",
        "en-US": "{first_name}, this is {creditor_name}, a debt collector. You owe {amount}, due "
        "{due_date}. To dispute it or see the details: {creditor_contact}. {opt_out}",
        "es": "{first_name}, somos {creditor_name}, cobrador de deudas. Debe {amount}, vencido el "
        "{due_date}. Para disputarlo o ver los detalles: {creditor_contact}. {opt_out}",
    },
    "notice": {
        "pt-BR": "{first_name}, seu débito de {amount} com {creditor_name} está há {days_past_due} "
        "dias em aberto. Negocie em {creditor_contact} ou responda esta mensagem. {opt_out}",
        "en-US": "{first_name}, your debt of {amount} with {creditor_name} is {days_past_due} days "
        "past due. Options: {creditor_contact} or reply here. From a debt collector. {opt_out}",
        "es": "{first_name}, su deuda de {amount} con {creditor_name} lleva {days_past_due} días "
        "vencida. Opciones: {creditor_contact} o responda aquí. De un cobrador. {opt_out}",
    },
    "formal": {
        "pt-BR": "Aviso a {first_name}: {amount} devidos a {creditor_name} desde {due_date}. Sem "
        "acordo, seguem as etapas previstas em contrato. {creditor_contact} {opt_out}",
        "en-US": "Notice to {first_name}: {amount} owed to {creditor_name} since {due_date}. "
        "Options remain open: {creditor_contact}. From a debt collector. {opt_out}",
        "es": "Aviso a {first_name}: {amount} adeudados a {creditor_name} desde {due_date}. "
        "Quedan opciones: {creditor_contact}. De un cobrador de deudas. {opt_out}",
    },
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
            stage=_stage(step),
            channel=_channels(step)[0],
        )
        for step in _steps(ladder)
    ]
    return sorted(steps, key=lambda step: step.offset_days)


def _documents(choice: Choice) -> Iterator[Entry]:
    for step in _steps(choice.ladder):
        for channel, template_id in step.get("templates", {}).items():
            yield "template", template_id, _template(template_id, channel, step)
    for pack_id, text in choice.packs.items():
        yield "pack", pack_id, {"text": text}
    yield "ladder", choice.ladder_id, {"text": choice.ladder}


def _template(template_id: str, channel: str, step: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "channel": channel,
        "content_class": step.get("content_class", "utility"),
        "texts": dict(TEXTS[_tone(template_id, step)]),
        "tone": "neutral",
    }


def _tone(template_id: str, step: Mapping[str, Any]) -> str:
    if "validation" in template_id:
        return "validation"
    if step["offset_days"] < 0:
        return "before"
    return ("reminder", "notice", "formal")[min(_stage(step), 2)]


def _stage(step: Mapping[str, Any]) -> int:
    return STAGES.index(step["stage"])


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
