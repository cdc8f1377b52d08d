"""A client system's whole acquaintance with the platform, by the documents alone.

In: the scheduler and the ledger behind their documents, a configured tenant with its key. Out:
every operation of both called with success at least once, each answer judged on the way. The
bodies are the documents' own examples wherever there is one.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID, uuid4

from services.scheduler.api import examples
from tests.support.documented import Documented

Json = dict[str, Any]

MONDAY = examples.CLOCK["monday"].value
WAIT_SECONDS_MAX = 30.0
POLL_SECONDS = 0.05
SINGLE = {"Content-Type": "application/cloudevents+json"}
BATCH = {"Content-Type": "application/cloudevents-batch+json"}
LINES = {"Content-Type": "application/x-ndjson"}
# Order matters to what configuration refers to: the examples are one small tenant's.
CONFIGURED = (
    ("account", "main"),
    ("template", "reminder"),
    ("ladder", "reminder-only"),
    ("portfolio", "example"),
)


class ClientStory:
    """One tenant; `tenant_key` may do what a client and its operators do, `admin` the rest."""

    def __init__(
        self, scheduler: Documented, ledger: Documented, *, tenant_key: str, admin: str
    ) -> None:
        self._scheduler, self._ledger = scheduler, ledger
        self._key, self._admin = tenant_key, admin
        self.debtor_id = ""
        self.contact_id = ""

    def do(self, name: str, status: int = 200, **request: Any) -> Json:
        """Call the scheduler, with the tenant's key unless another is given."""
        return self._scheduler.call(name, status, **{"key": self._key} | request)

    def read(self, name: str, **request: Any) -> Json:
        """Ask the ledger with the tenant's key."""
        return self._ledger.call(name, 200, key=self._key, **request)

    def tell(self) -> None:
        """Tell the whole story."""
        for service in (self._scheduler, self._ledger):
            for name in ("health_live", "health_ready", "health_startup", "read_metrics"):
                service.call(name, 200)
            service.call("read_progress", 200, key=self._admin)
        self.set_the_clock()
        self.register_and_read()
        self.post_everything()
        self.configure()
        self.make_keys()
        self.hold()
        self.decide()
        self.hand_off()

    def set_the_clock(self) -> None:
        self.do("step_clock", key=self._admin, json=MONDAY)
        self.do("step_clock", 403, json=MONDAY)
        assert self.do("read_clock")["mode"] == "sandbox"

    def register_and_read(self) -> None:
        """A debt is registered; its first contact is made, and everything about it can be read."""
        event = examples.event("debt.registered")
        answer = self.do("post_events", 202, json=event, headers=SINGLE)
        assert answer["accepted"] == 1
        UUID(answer["results"][0]["event_id"])
        found = until(lambda: self.read("search", json={"debtor_ref": "cust-77"})["debtors"])
        self.debtor_id = found[0]["debtor_id"]
        contacts = until(
            lambda: self.read("list_contacts", params={"debtor_id": self.debtor_id})["contacts"]
        )
        self.contact_id = contacts[0]["contact_id"]
        place = {"contact_id": self.contact_id, "debtor_id": self.debtor_id}
        until(lambda: self.read("read_contact", path=place)["state"] == "delivered")
        entries = self.read("read_history", path=place)["entries"]
        assert any(line.get("text") for line in entries)
        explained = self.do("explain", json=examples.DEBT)
        assert explained == self.do("explain_debtor", path=place) | {"at": explained["at"]}
        self.figures()

    def figures(self) -> None:
        march = {"from": "2027-03-01", "to": "2027-04-01"}
        figures = self.read("read_kpis", params=march | {"portfolio": "varejo-br"})
        assert figures["counts"]["accounts_assigned"] == 1
        assert self.read("read_balance", params=march)["totals"]["balanced"]
        assert self.read("read_alarms")["alarms"] == []
        page = self.read("read_facts", params={"limit": 2})
        assert len(page["events"]) == 2
        rest = self.read("read_facts", params={"after": page["next_cursor"]})
        known = {each["id"] for each in page["events"]}
        assert rest["events"]
        assert known.isdisjoint(each["id"] for each in rest["events"])

    def post_everything(self) -> None:
        """Every example is taken, once; told again, it is a duplicate."""
        for kind in examples.DATA:
            headers = SINGLE | {"Idempotency-Key": str(uuid4())}
            event = examples.event(kind)
            self.do("post_events", 202, json=event, headers=headers)
            answer = self.do("post_events", 202, json=event, headers=SINGLE)
            assert (answer["accepted"], answer["duplicates"]) == (0, 1), kind
        batch = examples.batch()["two"].value
        assert self.do("post_events", 202, json=batch, headers=BATCH)["duplicates"] == 2
        data = examples.binary()["debt.promise_made"].value
        attributes = {"ce-specversion": "1.0", "ce-id": str(uuid4()), "ce-source": "/crm"}
        attributes["ce-type"] = "debt.promise_made"
        assert self.do("post_events", 202, json=data, headers=attributes)["accepted"] == 1
        lines = examples.lines()["two"].value.encode()
        answer = self.do("post_events_in_bulk", 202, content=lines, headers=LINES)
        assert answer["duplicates"] == 2
        wrong = [*batch, {"specversion": "1.0", "id": "x"}]
        answer = self.do("post_events", 202, json=wrong, headers=BATCH)
        assert answer["refused"] == 1
        assert answer["results"][2]["problem"]["status"] == 422
        self.do("post_events", 422, json=wrong[2], headers=SINGLE)
        changed = examples.event("debtor.updated") | {"data": examples.DATA["debtor.hold_placed"]}
        self.do("post_events", 422, json=changed, headers=SINGLE)
        other = examples.event("debt.disputed") | {"data": {"debt_ref": "inv-1001"}}
        self.do("post_events", 409, json=other, headers=SINGLE)

    def configure(self) -> None:
        for kind, entry_id in CONFIGURED:
            place = {"kind": kind, "entry_id": entry_id}
            for _ in range(2):  # told again, it is the same version
                self.do("put_entry", 201, path=place, json=examples.CONFIG[kind].value)
            assert self.do("read_entry", path=place)["version"] == 1
            assert len(self.do("read_entry_history", path=place)["versions"]) == 1
            self.do("list_entries", path=place)
        ladder = {"kind": "ladder", "entry_id": "reminder-only"}
        self.do("delete_entry", 409, path=ladder)
        portfolio = {"kind": "portfolio", "entry_id": "example"}
        self.do("delete_entry", 412, path=portfolio, headers={"If-Match": '"7"'})
        self.do("delete_entry", path=portfolio, headers={"If-Match": '"1"'})
        self.do("read_entry", 404, path=portfolio)

    def make_keys(self) -> None:
        tenant = {"kind": "tenant", "entry_id": "acme"}
        value = examples.CONFIG["tenant"].value
        self.do("put_entry", 201, key=self._admin, path=tenant, json=value)
        wanted = examples.KEY["client"].value
        made = self.do("make_key", 201, key=self._admin, json=wanted)
        of_acme = {"tenant": "acme"}
        assert self.do("list_keys", key=self._admin, params=of_acme)["keys"]
        self.do("revoke_key", key=self._admin, params=of_acme, path={"key_id": made["id"]})
        self.do("make_key", 403, json=wanted)
        self.do("read_clock", 401, key=made["key"])

    def hold(self) -> None:
        wanted = examples.HOLDS["debtor"].value | {"debtor_id": self.debtor_id}
        held = self.do("place_hold", 201, json=wanted)
        self.do("place_hold", 201, json=examples.HOLDS["address"].value)
        stopped = self.do("stop", 201, json=examples.STOPS["tenant"].value)
        assert len(self.do("list_holds")["holds"]) > 2
        for each in (held, stopped):
            self.do("read_hold", path=each)
            assert self.do("lift_hold", path=each)["state"] == "lifted"

    def decide(self) -> None:
        """A payment of a debt that nobody knows waits for a person."""
        payment = examples.event("debt.payment_received") | {
            "id": "pay-unknown",
            "data": examples.DATA["debt.payment_received"] | {"debt_ref": "inv-404"},
        }
        answer = self.do("post_events", 202, json=payment, headers=SINGLE)
        assert answer["results"][0]["status"] == "parked"
        items = self.do("list_work_items")["work_items"]
        item = next(each for each in items if each["kind"] == "parked_event")
        self.do("read_work_item", path=item)
        assert self.do("claim_work_item", path=item)["state"] == "claimed"
        self.do("decide_work_item", 422, path=item, json=examples.DECISION["waive"].value)
        self.do("decide_work_item", path=item, json={"decision": "discard"})
        self.do("claim_work_item", 409, path=item)

    def hand_off(self) -> None:
        """A step that only a telephone can take goes to people: one calls, one debt is paid."""
        called, paid = (self.only_a_telephone(ref) for ref in ("inv-2001", "inv-2002"))
        report = examples.event("contact.recorded")
        about = {"debt_ref": "inv-2001", "work_item_id": called["work_item_id"]}
        report["data"] = report["data"] | about
        self.do("post_events", 202, json=report | {"id": "call-1"}, headers=SINGLE)
        payment = examples.event("debt.payment_received")
        payment["data"] = payment["data"] | {"debt_ref": "inv-2002"}
        self.do("post_events", 202, json=payment | {"id": "pay-2002"}, headers=SINGLE)
        for item, decision in ((called, "done"), (paid, "withdrawn")):
            assert until(partial(self.decision_on, item)) == decision

    def decision_on(self, item: Json) -> str | None:
        """How an item was closed; None while it is not."""
        decision: str | None = self.do("read_work_item", path=item)["decision"]
        return decision

    def only_a_telephone(self, debt_ref: str) -> Json:
        """Register a debt of 46 days, of somebody with a telephone alone; return the work item."""
        event = examples.event("debt.registered") | {"id": f"reg-{debt_ref}"}
        done = {"step_key": "d20-extrajudicial", "channel": "letter", "at": "2027-02-05T12:00:00Z"}
        point = {"channel": "voice", "address": "+551130001000"}
        event["data"] = event["data"] | {
            "debt_ref": debt_ref,
            "debtor_ref": f"of-{debt_ref}",
            "due_date": "2027-01-14",
            "steps_done": [done],
            "debtor": event["data"]["debtor"] | {"contact_points": [point]},
        }
        self.do("post_events", 202, json=event, headers=SINGLE)
        person = {"debtor_ref": f"of-{debt_ref}"}
        found = until(lambda: self.read("search", json=person)["debtors"])

        def handed() -> list[Json]:
            items = self.do("list_work_items")["work_items"]
            mine = [each for each in items if each["debtor_id"] == found[0]["debtor_id"]]
            return [each for each in mine if each["kind"] == "handoff"]

        [item] = until(handed)
        assert item["deadline"], "a hand-off has a closing date"
        return dict(item)


def until(look: Callable[[], Any]) -> Any:
    """Look until there is something; fail after the deadline."""
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while not (found := look()):
        assert time.monotonic() < deadline, "nothing came of it"
        time.sleep(POLL_SECONDS)
    return found
