"""From the client's terms to ours: money in minor units, instants in UTC, canonical addresses.

In: a checked shape and what is known of its tenant. Out: a `Draft`, an event that lacks only its
identities. Pure: the same input gives the same draft, and errors name field and remedy.
"""

import hashlib
from collections.abc import Callable
from typing import Any

import msgspec

from services.scheduler.intake import addresses, shapes
from services.scheduler.intake.draft import Draft, Sender
from services.scheduler.intake.figures import day, instant, minor, money_code
from services.scheduler.intake.people import debtor_facts
from services.scheduler.intake.refusal import unknown_portfolio, wrong
from shared.events import debt
from shared.events.identities import event_id

BODY_HASH_BYTES = 16  # tells one body from another under one id; 128 bits never collide by chance

_encode = msgspec.json.Encoder(order="deterministic").encode


class Parts(msgspec.Struct, kw_only=True):
    """What a builder found out about an event."""

    fields: dict[str, Any]
    debt_ref: str | None = None
    debtor_ref: str | None = None
    document: str | None = None
    into_debtor_ref: str | None = None
    portfolio_id: str | None = None
    currency: str | None = None


def draft_of(
    event: shapes.CloudEvent, kind: str, shape: shapes.Shape, sender: Sender, traceparent: str
) -> Draft:
    """Normalise one event; raise the problem that names the field."""
    occurred_at = instant(event.time, "$.time", latest=sender.latest) if event.time else None
    parts = _BUILDERS[type(shape)](shape, sender, event.source)
    canonical = _encode((kind, occurred_at, shape))
    return Draft(
        tenant_id=sender.tenant_id,
        client_id=event.id,
        event_id=event_id(sender.tenant_id, event.source, event.id),
        body_hash=hashlib.blake2b(canonical, digest_size=BODY_HASH_BYTES).digest(),
        kind=kind,
        fields=parts.fields,
        occurred_at=occurred_at,
        traceparent=traceparent,
        debt_ref=parts.debt_ref,
        debtor_ref=parts.debtor_ref,
        document=parts.document,
        into_debtor_ref=parts.into_debtor_ref,
        portfolio_id=parts.portfolio_id,
        currency=parts.currency,
    )


def _amounts(shape: Any, currency: str, names: tuple[str, ...]) -> dict[str, int]:
    return {
        name: minor(text, currency, f"$.data.{name}", least=0)
        for name in names
        if (text := getattr(shape, name)) is not None
    }


def _registered(shape: shapes.DebtRegisteredShape, sender: Sender, _: str) -> Parts:
    portfolio = sender.portfolio(shape.portfolio_id)
    if portfolio is None:
        raise unknown_portfolio("$.data.portfolio_id")
    currency = money_code(shape.currency, "$.data.currency")
    if currency != portfolio.currency:
        raise wrong(
            "$.data.currency", "not the portfolio's currency", f"send {portfolio.currency} amounts"
        )
    past = "$.data.past_contacts"
    return Parts(
        debt_ref=shape.debt_ref,
        debtor_ref=shape.debtor_ref,
        document=addresses.document(shape.document, field="$.data.document")
        if shape.document is not None
        else None,
        portfolio_id=shape.portfolio_id,
        currency=currency,
        fields={
            "debtor": debtor_facts(shape.debtor, shape.debtor_ref, portfolio.country),
            "debt_ref": shape.debt_ref,
            "principal": minor(shape.principal, currency, "$.data.principal"),
            **_amounts(shape, currency, ("interest", "penalty")),
            "currency": currency,
            "due_date": day(shape.due_date, "$.data.due_date"),
            "product": shape.product,
            "stage": shape.stage,
            "steps_done": tuple(
                debt.StepDone(
                    step_key=step.step_key,
                    channel=step.channel,
                    at=instant(step.at, f"$.data.steps_done[{n}].at", latest=sender.latest),
                )
                for n, step in enumerate(shape.steps_done)
            ),
            "past_contacts": tuple(
                debt.PastContact(
                    channel=contact.channel,
                    at=instant(contact.at, f"{past}[{n}].at", latest=sender.latest),
                )
                for n, contact in enumerate(shape.past_contacts)
            ),
        },
    )


def _updated(shape: shapes.DebtUpdatedShape, _: Sender, __: str) -> Parts:
    given = [n for n in ("principal", "interest", "penalty") if getattr(shape, n) is not None]
    fields: dict[str, Any] = {"currency": shape.currency, "product": shape.product}
    if given and shape.currency is None:
        raise wrong("$.data.currency", "missing with amounts", "add the currency of the amounts")
    if shape.currency is not None:
        money_code(shape.currency, "$.data.currency")
        fields |= _amounts(shape, shape.currency, ("principal", "interest", "penalty"))
    if shape.due_date is not None:
        fields["due_date"] = day(shape.due_date, "$.data.due_date")
    return Parts(debt_ref=shape.debt_ref, currency=shape.currency, fields=fields)


def _payment(shape: shapes.PaymentReceivedShape, sender: Sender, _: str) -> Parts:
    currency = money_code(shape.currency, "$.data.currency")
    amount = minor(shape.amount, currency, "$.data.amount")
    split = _amounts(shape, currency, ("principal", "interest", "penalty"))
    complete = len(split) == 3  # noqa: PLR2004 - principal, interest and penalty
    if sum(split.values()) > amount or (complete and sum(split.values()) != amount):
        raise wrong("$.data.amount", "not the sum of its parts", "correct amount or parts")
    paid_at = shape.paid_at
    return Parts(
        debt_ref=shape.debt_ref,
        currency=currency,
        fields={
            "amount": amount,
            "currency": currency,
            **split,
            "paid_at": instant(paid_at, "$.data.paid_at", latest=sender.latest)
            if paid_at
            else None,
        },
    )


def _reversed(shape: shapes.PaymentReversedShape, sender: Sender, source: str) -> Parts:
    at = shape.reversed_at
    return Parts(
        debt_ref=shape.debt_ref,
        fields={
            "payment_event_id": event_id(
                sender.tenant_id, shape.payment_source or source, shape.payment_id
            ),
            "reversed_at": instant(at, "$.data.reversed_at", latest=sender.latest) if at else None,
        },
    )


def _promise(shape: shapes.PromiseMadeShape, _: Sender, __: str) -> Parts:
    currency = money_code(shape.currency, "$.data.currency")
    return Parts(
        debt_ref=shape.debt_ref,
        currency=currency,
        fields={
            "amount": minor(shape.amount, currency, "$.data.amount"),
            "currency": currency,
            "due_date": day(shape.due_date, "$.data.due_date"),
            "channel": shape.channel,
        },
    )


def _promise_cancelled(shape: shapes.PromiseCancelledShape, sender: Sender, source: str) -> Parts:
    promise = shape.promise_id
    named = event_id(sender.tenant_id, shape.promise_source or source, promise) if promise else None
    return Parts(debt_ref=shape.debt_ref, fields={"promise_event_id": named})


def _agreement(shape: shapes.AgreementMadeShape, _: Sender, __: str) -> Parts:
    currency = money_code(shape.currency, "$.data.currency")
    path = "$.data.instalments"
    instalments = tuple(
        debt.Instalment(
            amount=minor(one.amount, currency, f"{path}[{n}].amount"),
            due_date=day(one.due_date, f"{path}[{n}].due_date"),
        )
        for n, one in enumerate(shape.instalments)
    )
    return Parts(
        debt_ref=shape.debt_ref,
        currency=currency,
        fields={"currency": currency, "instalments": instalments},
    )


def _debt_reason(shape: Any, _: Sender, __: str) -> Parts:
    return Parts(debt_ref=shape.debt_ref, fields={"reason": shape.reason})


def _dispute_resolved(shape: shapes.DisputeResolvedShape, _: Sender, __: str) -> Parts:
    return Parts(debt_ref=shape.debt_ref, fields={"outcome": shape.outcome})


def _debtor_updated(shape: shapes.DebtorUpdatedShape, _: Sender, __: str) -> Parts:
    facts = debtor_facts(shape.debtor, shape.debtor_ref, None)
    return Parts(debtor_ref=shape.debtor_ref, fields={"debtor": facts})


def _merged(shape: shapes.DebtorMergedShape, _: Sender, __: str) -> Parts:
    return Parts(debtor_ref=shape.debtor_ref, into_debtor_ref=shape.into_debtor_ref, fields={})


def _consent(shape: shapes.ConsentChangedShape, _: Sender, __: str) -> Parts:
    address = shape.address
    if address is not None and shape.channel is None:
        raise wrong("$.data.channel", "missing with an address", "add the address's channel")
    if address is not None and shape.channel is not None:
        address = addresses.canonical_address(
            shape.channel, address, country=None, field="$.data.address"
        )
    fields = {"state": shape.state, "origin": shape.origin, "channel": shape.channel}
    return Parts(debtor_ref=shape.debtor_ref, fields={**fields, "address": address})


def _hold_placed(shape: shapes.HoldPlacedShape, _: Sender, __: str) -> Parts:
    until = instant(shape.until, "$.data.until") if shape.until else None
    return Parts(debtor_ref=shape.debtor_ref, fields={"reason": shape.reason, "until": until})


def _hold_lifted(shape: shapes.HoldLiftedShape, _: Sender, __: str) -> Parts:
    return Parts(debtor_ref=shape.debtor_ref, fields={"reason": shape.reason})


def _erasure(shape: shapes.ErasureRequestedShape, _: Sender, __: str) -> Parts:
    return Parts(debtor_ref=shape.debtor_ref, fields={})


def _recorded(shape: shapes.ContactRecordedShape, sender: Sender, _: str) -> Parts:
    if (shape.debt_ref is None) == (shape.debtor_ref is None):
        raise wrong("$.data.debt_ref", "not one of debt and debtor", "name one of them, not both")
    return Parts(
        debt_ref=shape.debt_ref,
        debtor_ref=shape.debtor_ref,
        fields={
            "channel": shape.channel,
            "at": instant(shape.at, "$.data.at", latest=sender.latest),
            "outcome": shape.outcome,
            "contact_id": shape.contact_id,
            "work_item_id": shape.work_item_id,
        },
    )


_BUILDERS: dict[type[shapes.Shape], Callable[[Any, Sender, str], Parts]] = {
    shapes.DebtRegisteredShape: _registered,
    shapes.DebtUpdatedShape: _updated,
    shapes.PaymentReceivedShape: _payment,
    shapes.PaymentReversedShape: _reversed,
    shapes.DebtCancelledShape: _debt_reason,
    shapes.DebtDisputedShape: _debt_reason,
    shapes.DisputeResolvedShape: _dispute_resolved,
    shapes.PromiseMadeShape: _promise,
    shapes.PromiseCancelledShape: _promise_cancelled,
    shapes.AgreementMadeShape: _agreement,
    shapes.DebtorUpdatedShape: _debtor_updated,
    shapes.DebtorMergedShape: _merged,
    shapes.ConsentChangedShape: _consent,
    shapes.HoldPlacedShape: _hold_placed,
    shapes.HoldLiftedShape: _hold_lifted,
    shapes.ErasureRequestedShape: _erasure,
    shapes.ContactRecordedShape: _recorded,
}
