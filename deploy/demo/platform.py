"""The platform as a client system and an operator reach it: over HTTP, with an API key.

In: a running stack's URLs and keys. Out: typed calls for configuration, events, the law clock,
progress, and what the ledger and the sandbox tell. The demo, the journeys and the bench all go
through this door; none of them reads a database.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from types import TracebackType
from typing import Any, Self

import httpx

EVENTS_PER_REQUEST = 500  # half of what the API takes: two requests are on their way at once
REQUEST_SECONDS_MAX = 60.0

Json = dict[str, Any]


class Refused(Exception):
    """The platform answered with a problem; the text is its own."""


class Platform:
    """One tenant's view of a running platform."""

    def __init__(self, urls: Mapping[str, str], *, admin_key: str, control_key: str) -> None:
        """`urls` by process name: scheduler, the senders, contact_ledger, sandbox."""
        self.urls = dict(urls)
        self._http = httpx.Client(timeout=REQUEST_SECONDS_MAX)
        self._admin = {"X-API-Key": admin_key}
        self.tenant = self._admin
        self.control = {"Authorization": f"Bearer {control_key}"}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._http.close()

    def configure(self, tenant_id: str, entries: Sequence[tuple[str, str, Json]]) -> None:
        """Create a tenant and its key, then store these (kind, id, body) entries in order."""
        self.put(f"/v1/config/tenant/{tenant_id}", {"name": tenant_id}, admin=tenant_id)
        scopes = ["events:write", "config:write", "operator", "read"]
        made = self.call(
            "POST",
            "scheduler",
            "/v1/api-keys",
            json={"tenant_id": tenant_id, "label": "demo", "scopes": scopes},
            headers=self._admin,
        )
        self.tenant = {"X-API-Key": made["key"]}
        for kind, id_, body in entries:
            self.put(f"/v1/config/{kind}/{id_}", body)

    def put(self, path: str, body: Json, *, admin: str | None = None) -> Json:
        """Store one configuration entry, as the tenant or as the platform's admin."""
        headers = self._admin if admin else self.tenant
        params = {"tenant": admin} if admin else None
        return self.call("PUT", "scheduler", path, json=body, headers=headers, params=params)

    def post_events(self, events: Iterator[Json]) -> list[Json]:
        """Post events in bulk; return every result, in order. Raise `Refused` on a problem."""
        results: list[Json] = []
        source = iter(events)
        while page := list(islice(source, EVENTS_PER_REQUEST)):
            body = "\n".join(json.dumps(event) for event in page)
            headers = {**self.tenant, "Content-Type": "application/x-ndjson"}
            answer = self.call(
                "POST", "scheduler", "/v1/events:bulk", content=body.encode(), headers=headers
            )
            results.extend(answer["results"])
        return results

    def set_clock(self, law_now: datetime) -> None:
        """Step the law clock (sandbox mode only)."""
        body = {"law_now": law_now.isoformat()}
        self.call("PUT", "scheduler", "/v1/clock", json=body, headers=self._admin)

    def machine_now(self) -> datetime:
        """The platform's machine time: the clock on which promises about seconds are judged."""
        answer = self.call("GET", "scheduler", "/v1/clock", headers=self._admin)
        return datetime.fromisoformat(answer["machine_now"])

    def progress(self, name: str) -> Json:
        """What a process says it has done and has pending."""
        headers = self.control if name == "sandbox" else self._admin
        return self.call("GET", name, "/v1/progress", headers=headers)

    def ledger(self, path: str, **params: str | int) -> Json:
        """Read from the ledger."""
        return self.call("GET", "contact_ledger", path, headers=self.tenant, params=dict(params))

    def pages(self, path: str, key: str, **params: str | int) -> Iterator[Json]:
        """Every item of a cursor-paged listing of the ledger."""
        cursor = ""
        while True:
            page = self.ledger(path, **params, **({"cursor": cursor} if cursor else {}))
            yield from page[key]
            cursor = page.get("next_cursor") or ""
            if not cursor:
                return

    def work_items(self, state: str) -> Iterator[Json]:
        """Every work item of the tenant in a state: open, claimed or closed."""
        where = {"state": state}
        while True:
            page = self.call(
                "GET", "scheduler", "/v1/work-items", headers=self.tenant, params=where
            )
            yield from page["work_items"]
            if not page.get("next"):
                return
            where["after"] = page["next"]

    def sandbox(self, method: str, path: str, body: object = None) -> Json:
        """Call the sandbox's control endpoints."""
        return self.call(method, "sandbox", path, json=body, headers=self.control)

    def truth(self, begins_after: int = 0) -> list[Json]:
        """The provider's truth log, whole or behind a line."""
        lines: list[Json] = []
        while True:
            after = lines[-1]["seq"] if lines else begins_after
            url = f"{self.urls['sandbox']}/sandbox/truth"
            answer = self._http.get(url, params={"after": after}, headers=self.control)
            answer.raise_for_status()
            page = [json.loads(line) for line in answer.text.splitlines() if line]
            if not page:
                return lines
            lines.extend(page)

    def call(self, method: str, name: str, path: str, **request: Any) -> Json:
        """One HTTP call to a process; raise `Refused` with the problem's own words."""
        answer = self._http.request(method, f"{self.urls[name]}{path}", **request)
        if answer.is_error:
            msg = f"{method} {path}: {answer.status_code} {answer.text[:500]}"
            raise Refused(msg)
        found: Json = answer.json() if answer.content else {}
        return found
