"""The configuration that the sample portfolio needs, as bodies for `PUT /v1/config/{kind}/{id}`.

In: where the sandbox is, which accounts it knows, the text of the ladder of each portfolio. Out:
entries in the order in which they must be stored: tenant, accounts, templates, packs, ladders,
portfolios. Templates are found in the ladders themselves, so another ladder needs no change here.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
import yaml

from deploy.portfolio import templates
from deploy.portfolio.debtors import BRAZIL, UNITED_STATES, LadderStep, Market

RATE_PER_SECOND = 2_000.0  # the sandbox takes more; a real number takes far less


class Sender(msgspec.Struct, frozen=True):
    """One account as the sandbox knows it, and the references to its secrets.

    `number` is what the channel sends from: a phone number, or a mailbox.
    """

    account_id: str
    number: str
    base_url: str
    credentials: Mapping[str, str]
    provider: str = "twilio"
    channel: str = "sms"
    options: Mapping[str, str] = {}
    pair_rate_per_minute: float | None = None


class Choice(msgspec.Struct, frozen=True):
    """What one portfolio runs on: a ladder (id, text), packs (id to text), a sender per channel."""

    ladder_id: str
    ladder: str
    packs: Mapping[str, str]
    senders: Sequence[Sender]


Entry = tuple[str, str, dict[str, Any]]


def entries(*, tenant_id: str, brazil: Choice, united_states: Choice) -> Iterator[Entry]:
    """Yield (kind, id, body) in the order in which they must be stored."""
    yield "tenant", tenant_id, {"name": "Sample Collections"}
    choices = ((BRAZIL, brazil), (UNITED_STATES, united_states))
    for market, choice in choices:
        for sender in choice.senders:
            yield "account", sender.account_id, _account(market, sender)
    seen: set[tuple[str, str]] = set()
    for _, choice in choices:
        for entry in _documents(choice):
            if entry[:2] not in seen:
                seen.add(entry[:2])
                yield entry
    for market, choice in choices:
        yield "portfolio", market.portfolio_id, _portfolio(market, choice)


def templates_of(ladder: str, channel: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (id, body) of every template that a ladder names for a channel, once each."""
    seen: set[str] = set()
    for step in _steps(ladder):
        template_id = step.get("templates", {}).get(channel)
        if template_id is not None and template_id not in seen:
            seen.add(template_id)
            yield template_id, templates.template(template_id, channel, step)


def steps_of(ladder: str) -> list[LadderStep]:
    """Return what the sample needs to know of a ladder's steps, in order of offset."""
    steps = [
        LadderStep(
            key=step["key"],
            offset_days=step["offset_days"],
            stage=templates.stage_of(step),
            channel=_past_channel(step),
        )
        for step in _steps(ladder)
    ]
    return sorted(steps, key=lambda step: step.offset_days)


def _documents(choice: Choice) -> Iterator[Entry]:
    for step in _steps(choice.ladder):
        for channel, template_id in step.get("templates", {}).items():
            yield "template", template_id, templates.template(template_id, channel, step)
    for pack_id, text in choice.packs.items():
        yield "pack", pack_id, {"text": text}
    yield "ladder", choice.ladder_id, {"text": choice.ladder}


def _account(market: Market, sender: Sender) -> dict[str, Any]:
    body = {
        "channel": sender.channel,
        "provider": sender.provider,
        "sender": sender.number,
        "rate_per_second": RATE_PER_SECOND,
        "credentials": dict(sender.credentials),
        "base_url": sender.base_url,
        "countries": [market.country],
        "roles": [_role(market)],
        "options": dict(sender.options),
    }
    if sender.pair_rate_per_minute is not None:
        body["pair_rate_per_minute"] = sender.pair_rate_per_minute
    return body


def _portfolio(market: Market, choice: Choice) -> dict[str, Any]:
    brazilian = market.country == "BR"
    body: dict[str, Any] = {
        "creditor_name": "Casa Aurora" if brazilian else "Lakeside Recovery",
        "collector_role": _role(market),
        "country": market.country,
        "currency": market.currency,
        "locale": "pt-BR" if brazilian else "en-US",
        "ladder_id": choice.ladder_id,
        "accounts": {sender.channel: sender.account_id for sender in choice.senders},
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


def _past_channel(step: Mapping[str, Any]) -> str:
    """Return on which channel the step was taken before the debt came here: by SMS, if it could."""
    channels = step.get("channels") or ["sms"]
    return "sms" if "sms" in channels else str(channels[0])
