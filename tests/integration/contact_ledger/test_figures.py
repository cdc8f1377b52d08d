"""KPIs by SQL: the domain's example from facts, and random lives recounted by brute force."""

import random
from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from services.contact_ledger.facts import Fact
from services.contact_ledger.kpis import Counts, ratios
from services.contact_ledger.store import contacts, kpis
from services.contact_ledger.store.kpis import Period, Terms
from shared.events.contact import ContactReply, DebtFact
from shared.events.states import STATES, ContactState, rises
from shared.postgres import Pool
from tests.support.ledger import PORTFOLIO, TENANT, Debtor, a_writer, write
from tests.support.lives import END, START, Lives


def a_period(portfolio: str | None = PORTFOLIO, tenant: str = TENANT) -> Period:
    return Period(tenant_id=tenant, portfolio_id=portfolio, starts=START, ends=END)


async def counted(pool: Pool, period: Period, terms: Iterable[Terms] = ()) -> Counts:
    async with pool.acquire() as conn:
        return await kpis.count(conn, period, list(terms))


def the_example() -> list[Fact]:
    """100 accounts, 60 attempted 4 times, 45 reached, 120 contacts, 30 right, 12 promises."""
    at = START + timedelta(days=5)
    debtors = [Debtor() for _ in range(100)]
    facts = [debtor.registered(START - timedelta(days=40)) for debtor in debtors]
    tried = [[debtor.contact() for _ in range(4)] for debtor in debtors[:60]]
    for group in tried:
        facts += [contact.state("contact.planned", at) for contact in group]
        facts += [contact.state("contact.accepted", at) for contact in group]
    reached = [group[:3] for group in tried[:30]] + [group[:2] for group in tried[30:45]]
    delivered = [contact for group in reached for contact in group]
    facts += [contact.state("contact.delivered", at) for contact in delivered]
    facts += [group[0].state("contact.replied", at) for group in reached[:30]]
    for number, debtor in enumerate(debtors[:12]):
        due = (at + timedelta(days=5 if number < 9 else 40)).date()
        facts.append(debtor.promised(at, due, 10000))
        if number < 6:
            facts.append(debtor.paid(at + timedelta(days=7), 10000))
    # None of these counts: another portfolio, another tenant, another month.
    for other in (Debtor(portfolio="other"), Debtor(tenant="other")):
        facts += [other.registered(START), other.contact().state("contact.delivered", at)]
    facts.append(debtors[0].contact().state("contact.delivered", START - timedelta(days=1)))
    return facts


async def test_the_domains_example_from_facts_in_any_order(pool: Pool) -> None:
    facts = the_example()
    random.Random(7).shuffle(facts)  # noqa: S311 - a seeded test
    writer = a_writer()
    for start in range(0, len(facts), 100):
        await write(pool, writer, facts[start : start + 100])
    counts = await counted(pool, a_period())
    assert counts == Counts(
        accounts_assigned=100,
        accounts_attempted=60,
        accounts_contacted=45,
        attempts=240,
        contacts=120,
        right_party_contacts=30,
        promises=12,
        promises_due=9,
        promises_kept=6,
        promises_broken=3,
    )
    assert ratios(counts).penetration == 0.45


async def test_nobody_elses_period_counts_nothing(pool: Pool) -> None:
    await write(pool, a_writer(), the_example())
    assert await counted(pool, a_period(tenant="nobody")) == Counts()
    assert (await counted(pool, a_period(portfolio="other"))).contacts == 1


@pytest.mark.parametrize(("paid_after_days", "kept"), [(0, 1), (5, 1), (8, 1), (9, 0)], ids=str)
async def test_a_promise_is_kept_up_to_its_grace(
    pool: Pool, paid_after_days: int, kept: int
) -> None:
    debtor = Debtor()
    made = START + timedelta(days=3, hours=15)
    facts = [
        debtor.registered(START),
        debtor.promised(made, (made + timedelta(days=5)).date(), 10000),
        debtor.paid(made + timedelta(days=paid_after_days), 6000),
        debtor.paid(made + timedelta(days=paid_after_days), 4000),
    ]
    await write(pool, a_writer(), facts)
    assert (await counted(pool, a_period())).promises_kept == kept


async def test_dates_are_those_of_the_portfolios_zone(pool: Pool) -> None:
    debtor = Debtor()
    facts = [debtor.registered(START), debtor.promised(START, END.date(), 100)]
    await write(pool, a_writer(), facts)
    # The promise is due on 1 April: in Kiritimati that day begins while it is March in London.
    ahead = Terms(portfolio_id=PORTFOLIO, zone="Pacific/Kiritimati")
    assert (await counted(pool, a_period())).promises_due == 0
    assert (await counted(pool, a_period(), [ahead])).promises_due == 1


async def test_a_promise_of_the_balance_is_kept_when_the_planner_says_so(pool: Pool) -> None:
    debtor = Debtor()
    contact = debtor.contact()
    at = START + timedelta(days=1)
    reply = contact.state(
        "contact.replied", at, intent="promise", promise_date=(at + timedelta(days=2)).date()
    )
    assert isinstance(reply.data, ContactReply)
    verdict = DebtFact(
        debtor_id=debtor.debtor_id,
        debt_id=debtor.debt_id,
        portfolio_id=PORTFOLIO,
        episode=1,
        at=at,
        machine_at=at,
        promise_event_id=reply.data.reply_id,
    )
    kept = debtor.fact("debt.promise_kept.v1", verdict, at + timedelta(days=1))
    writer = a_writer()
    await write(pool, writer, [kept])  # the verdict may be recorded before the promise
    await write(pool, writer, [debtor.registered(START), reply])
    counts = await counted(pool, a_period())
    assert (counts.promises, counts.promises_due, counts.promises_kept) == (1, 1, 1)


@pytest.mark.parametrize("seed", range(8))
async def test_figures_equal_brute_force_whatever_the_order(pool: Pool, seed: int) -> None:
    lives = Lives(seed)
    arriving = [*lives.facts, *lives.random.choices(lives.facts, k=60)]  # some come twice
    lives.random.shuffle(arriving)
    writer = a_writer()
    while arriving:
        size = lives.random.randrange(1, 120)
        batch, arriving = arriving[:size], arriving[size:]
        await write(pool, writer, batch)
    assert await counted(pool, a_period()) == lives.counts()


@pytest.mark.parametrize("seed", range(4))
async def test_the_balance_adds_up_and_agrees_with_the_facts(pool: Pool, seed: int) -> None:
    lives = Lives(seed)
    arriving = list(lives.facts)
    lives.random.shuffle(arriving)
    writer = a_writer()
    for start in range(0, len(arriving), 50):
        await write(pool, writer, arriving[start : start + 50])
    async with pool.acquire() as conn:
        days = await contacts.balance(conn, TENANT, None, None)
    states: dict[UUID, ContactState] = {}
    for fact in arriving:
        if fact.contact_id is not None and fact.state is not None:
            known = states.get(fact.contact_id)
            if known is None or rises(known, fact.state):
                states[fact.contact_id] = fact.state
    for name in contacts.CLASSES:
        expected = sum(STATES[state].balance_class == name for state in states.values())
        assert sum(getattr(day, name) for day in days) == expected, name
    for day in days:
        if day.day is not None:
            assert day.planned == sum(getattr(day, name) for name in contacts.CLASSES)
        else:
            assert day.planned == 0


async def test_refusals_are_counted_by_rule_and_money_by_currency(pool: Pool) -> None:
    debtor = Debtor()
    at = START + timedelta(days=2)
    facts = [
        debtor.registered(START),
        debtor.contact().state("contact.withheld", at),
        *(debtor.contact(uuid4()).state("contact.deferred", at) for _ in range(2)),
        debtor.paid(at, 700),
        debtor.paid(at, 300),
    ]
    await write(pool, a_writer(), facts)
    async with pool.acquire() as conn:
        reasons = await kpis.reasons(conn, a_period())
        paid = await kpis.payments(conn, a_period())
        outcomes = await kpis.outcomes(conn, a_period())
    assert {(r.type, r.rule, r.decisions) for r in reasons} == {
        ("contact.withheld.v1", "ladder.step", 1),
        ("contact.deferred.v1", "ladder.step", 2),
    }
    assert [(p.currency, p.payments, p.amount) for p in paid] == [("BRL", 2, 1000)]
    assert [(o.channel, o.state, o.contacts) for o in outcomes] == [("sms", 40, 1)]
