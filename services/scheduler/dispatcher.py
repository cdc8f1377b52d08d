"""Dispatch: due contacts pass the gate again, get their permit, and go to their sender's topic.

In: one page of contacts whose instant has come, in a fenced transaction. Out: contact tasks with
permits, deferrals, drops, and requests to close what stayed open past its window. Caps are
reserved here, for the debtor's local date, by the state the gate reads: one shard, one owner, one
transaction at a time, so no two dispatches see the same free place.
"""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from uuid import UUID

import msgspec

from services.scheduler.outbound import SOURCE
from services.scheduler.plans import Handed
from services.scheduler.policy import permit, progress
from services.scheduler.policy.decision import Defer, Drop, Go
from services.scheduler.policy.gate import gate
from services.scheduler.policy.state import DebtorState
from services.scheduler.rulebooks import AddressSubjectOf, RulebookOf
from services.scheduler.store import contacts
from services.scheduler.store.postponed import Postponed, postpone_contacts
from services.scheduler.working_set import WorkingSet
from shared.events.contact import CloseRequested, ContactTask, Permit, Reason
from shared.events.envelope import Envelope, encode
from shared.events.identities import time_ordered_id
from shared.events.states import ContactState
from shared.events.topics import TASKS_BY_CHANNEL
from shared.postgres import outbox
from shared.postgres.connection import Connection

PAGE_CONTACTS_MAX = 1_000  # one statement each way; larger pages gain nothing (measured on unnest)
BUFFER_SECONDS = 4.0  # of an account's capacity in Kafka: priorities act on the rest
CLOSE_AFTER_WINDOW = timedelta(minutes=5)  # blueprint: final or unknown within 15 min of its window
CLOSE_AGAIN_AFTER = timedelta(minutes=5)

RateOf = Callable[[str, str], float]  # tenant, account -> contacts per second


class _Page:
    """What one page of due contacts came to, as rows to write."""

    def __init__(self) -> None:
        self.handed: list[Handed] = []
        self.postponed: list[Postponed] = []
        self.again: list[tuple[str, Envelope]] = []
        self.touched: set[UUID] = set()
        self.dropped: set[UUID] = set()

    async def write(self, ws: WorkingSet) -> None:
        await ws.save(self.touched)
        if self.handed:
            await contacts.dispatch_contacts(ws.conn, self.handed)
        if self.postponed:
            await postpone_contacts(ws.conn, self.postponed)
        if self.again:
            await outbox.append(ws.conn, self.again)


class Dispatch:
    """Everything one dispatch needs besides the working set; made once per process."""

    def __init__(
        self,
        *,
        rulebook_of: RulebookOf,
        rate_of: RateOf,
        address_subject_of: AddressSubjectOf,
        shards: int,
    ) -> None:
        """`shards` is the number of partitions: each owner may use its share of a rate."""
        self.rulebook_of = rulebook_of
        self._rate_of = rate_of
        self.address_subject_of = address_subject_of
        self._shards = shards

    async def rooms(self, conn: Connection, partition: int) -> list[tuple[str, str, int]]:
        """(tenant, account, room): how many due contacts each account may take now."""
        rooms = []
        for account in await contacts.accounts_due(conn, partition):
            room = self._budget(account.tenant_id, account.account_id) - account.under_way
            if room > 0:
                rooms.append((account.tenant_id, account.account_id, min(room, PAGE_CONTACTS_MAX)))
        return rooms

    async def page(self, ws: WorkingSet) -> int:
        """Dispatch one page; return how many contacts were looked at."""
        due = await contacts.open_due(
            ws.conn, partition=ws.partition, now=ws.law, limit=PAGE_CONTACTS_MAX
        )
        if rooms := await self.rooms(ws.conn, ws.partition):
            due += await contacts.planned_due(
                ws.conn, partition=ws.partition, now=ws.law, rooms=rooms
            )
        if not due:
            return 0
        await ws.load({contact.debtor_id for contact in due})
        await ws.load_holds(self._subjects_of_planned)
        page = _Page()
        for contact in sorted(due, key=lambda c: -c.priority):
            if contact.state == ContactState.PLANNED:
                self._dispatch_planned(ws, contact, page)
            else:
                _chase(ws, contact, page)
        for debtor_id in page.dropped:  # what fell away may be planned anew, without it
            state = ws.debtors[debtor_id]
            ws.decide(state, self.rulebook_of(state.tenant_id))
        await page.write(ws)
        return len(due)

    async def at_once(self, ws: WorkingSet) -> None:
        """Hand over what was planned for now, where nothing older waits: one row, one save.

        What the gate does not let go stays planned; the next page looks at it.
        """
        due = [(s, plan) for s, plan in await ws.settle_plans() if plan.due_at <= ws.law]
        if not due:
            return
        await ws.load_holds(self._subjects_of_planned)
        waiting = {
            (a.tenant_id, a.account_id) for a in await contacts.accounts_due(ws.conn, ws.partition)
        }
        under_way = await contacts.under_way(ws.conn, ws.partition)
        for state, plan in sorted(due, key=lambda pair: -pair[1].priority):
            account = (state.tenant_id, plan.account_id)
            if account in waiting or under_way.get(account, 0) >= self._budget(*account):
                continue
            verdict = self._gate(ws, state, plan.contact_id)
            if isinstance(verdict, Go):
                under_way[account] = under_way.get(account, 0) + 1
                ws.handed[plan.contact_id] = _hand_over(
                    ws, state, plan.contact_id, verdict, priority=plan.priority, why=plan.reasons
                )

    def _budget(self, tenant_id: str, account_id: str) -> int:
        return max(1, int(self._rate_of(tenant_id, account_id) * BUFFER_SECONDS / self._shards))

    def _dispatch_planned(self, ws: WorkingSet, contact: contacts.DueContact, page: _Page) -> None:
        state = ws.debtors[contact.debtor_id]
        ws.out.traces[contact.debtor_id] = contact.traceparent
        page.touched.add(contact.debtor_id)
        verdict = self._gate(ws, state, contact.contact_id)
        if isinstance(verdict, Go):
            page.handed.append(
                _hand_over(ws, state, contact.contact_id, verdict, priority=contact.priority)
            )
        elif isinstance(verdict, Defer):
            progress.deferred(state, contact.contact_id, verdict, ws.law)
            ws.tally.deferred(verdict.reasons)
            page.postponed.append(Postponed(contact.contact_id, verdict.until, held=verdict.held))
            fact = ws.decided(state, contact.contact_id, verdict.reasons, until=verdict.until)
            ws.out.state_fact(state, "contact.deferred.v1", fact)
        else:
            progress.dropped(state, contact.contact_id, verdict, ws.law)
            ws.end_contact(state, contact.contact_id, verdict.outcome, verdict.reasons)
            page.dropped.add(contact.debtor_id)

    def _subjects_of_planned(self, state: DebtorState) -> list[str]:
        rulebook = self.rulebook_of(state.tenant_id)
        return permit.of_planned(state, rulebook, self._address_subject(state))

    def _address_subject(self, state: DebtorState) -> permit.AddressSubject:
        return partial(self.address_subject_of, state.tenant_id)

    def _gate(self, ws: WorkingSet, state: DebtorState, contact_id: UUID) -> Go | Defer | Drop:
        return gate(
            state,
            contact_id,
            self.rulebook_of(state.tenant_id),
            ws.holds_of(state),
            ws.law,
            self._address_subject(state),
        )


def _hand_over(
    ws: WorkingSet,
    state: DebtorState,
    contact_id: UUID,
    go: Go,
    *,
    priority: int,
    why: tuple[Reason, ...] = (),
) -> Handed:
    """Reserve, permit, hand over: the task goes to the outbox, its row comes back.

    `why` are the reasons of a plan made in this transaction: one fact tells both decisions.
    """
    progress.dispatched(state, contact_id, go, ws.law)
    record = state.contacts[str(contact_id)]
    task = ContactTask(
        contact_id=contact_id,
        debtor_id=state.debtor_id,
        tenant_id=state.tenant_id,
        portfolio_id=record.portfolio_id,
        channel=record.channel,
        address=go.address,
        locale=go.locale,
        account_id=record.account_id,
        template_id=go.template_id,
        template_version=go.template_version,
        content_class=go.content_class,
        step_key=record.step_key,
        stage=record.stage,
        items=tuple(record.items),
        values=go.values,
        subjects=tuple(go.subjects),
        permit=Permit(
            issued_at=ws.machine,
            not_before=go.not_before,
            not_after=go.not_after,
            local_date=go.local_date,
            versions=go.versions,
        ),
        priority=priority,
    )
    ws.out.hand_over(state, record.channel, "contact.task.v1", task)
    judged = {reason.rule for reason in go.reasons}  # the gate's word on a rule is the newer one
    reasons = (*(reason for reason in why if reason.rule not in judged), *go.reasons)
    fact = ws.decided(state, contact_id, reasons)
    ws.out.state_fact(state, "contact.dispatched.v1", fact)
    ws.tally.handed_over(record.channel)
    closing = go.not_after + CLOSE_AFTER_WINDOW
    return Handed(contact_id, closing, go.not_after, encode(task))


def _chase(ws: WorkingSet, contact: contacts.DueContact, page: _Page) -> None:
    """Hand over again what a sender returned; ask to close what outlived its window."""
    if contact.task is None or contact.state >= ContactState.UNKNOWN:
        page.postponed.append(Postponed(contact.contact_id, None, closings=contact.closings))
        return
    task = msgspec.json.decode(contact.task, type=ContactTask)
    if contact.again and ws.law < contact.not_after:
        page.again.append((TASKS_BY_CHANNEL[task.channel].name, _envelope(ws, task, contact)))
        wake = contact.not_after + CLOSE_AFTER_WINDOW
        page.postponed.append(Postponed(contact.contact_id, wake, closings=contact.closings))
        return
    request = CloseRequested(
        contact_id=task.contact_id,
        debtor_id=task.debtor_id,
        tenant_id=task.tenant_id,
        portfolio_id=task.portfolio_id,
        channel=task.channel,
        items=task.items,
        permit=task.permit,
        reason="window_over",
    )
    ws.out.hand_over(
        ws.debtors[contact.debtor_id], task.channel, "contact.close_requested.v1", request
    )
    wake = ws.law + CLOSE_AGAIN_AFTER
    closings = contact.closings + 1
    page.postponed.append(Postponed(contact.contact_id, wake, closings=closings))


def _envelope(ws: WorkingSet, task: ContactTask, contact: contacts.DueContact) -> Envelope:
    return Envelope(
        id=time_ordered_id(),
        type="contact.task.v1",
        source=SOURCE,
        time=ws.law,
        key=str(task.debtor_id),
        tenant_id=task.tenant_id,
        data=encode(task),
        traceparent=contact.traceparent,
        expires_at=task.permit.not_after,
    )
