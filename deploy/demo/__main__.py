"""`make demo`: thirty days of two portfolios in under three minutes, and proof of what happened.

In: `--days`, `--debtors`, `--seed`. Out: the whole platform runs as processes on real PostgreSQL
and Kafka with the provider sandbox; a seeded portfolio is posted as a client system would; the law
clock is stepped; at the end a report, and one line whose three zeros are computed by comparing
what intake accepted, what the provider saw and what the ledger says. Exit 1 when any is not zero.
"""

import argparse
import sys
import time
from datetime import UTC, date, datetime, timedelta

from deploy.demo.driver import Driver, Stuck
from deploy.demo.outcome import Run, evidence, summary
from deploy.demo.platform import Json, Platform, Refused
from deploy.demo.report import render
from deploy.demo.setting import ladder, prepare
from deploy.demo.verify import verify
from deploy.local.errors import CannotRun
from deploy.local.stack import Options, Stack
from deploy.portfolio.configuration import steps_of
from deploy.portfolio.debtors import Debtor
from deploy.portfolio.events import Books, registrations
from deploy.portfolio.sample import draw_sample

START = date(2027, 3, 1)  # a Monday; US clocks change on 2027-03-14, inside the thirty days
START_HOUR_UTC = 6  # before any window opens
TENANT = "demo"
PROGRESS_SECONDS = 5.0


def main() -> int:
    """Run the demo; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m deploy.demo", description=__doc__)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--debtors", type=int, default=1_000)
    parser.add_argument("--seed", default="demo")
    options = parser.parse_args()
    started = time.monotonic()
    stack = Stack(Options(seed=options.seed), say=say)
    try:
        with stack:
            urls = {name: stack.url(name) for name in stack.processes}
            with Platform(
                urls, admin_key=stack.admin_key, control_key=stack.control_key
            ) as platform:
                run = _run(stack, platform, options)
                found = evidence(platform, run)
                verdict = verify(found)
                seconds = time.monotonic() - started
                say(render(summary(platform, run, seconds=seconds), verdict))
    except (CannotRun, Refused, Stuck) as error:
        print(f"demo: failed: {error}", file=sys.stderr)
        return 1
    return 0 if verdict.ok else 1


def _run(stack: Stack, platform: Platform, options: argparse.Namespace) -> Run:
    """Configure, post, step through the days."""
    begin = datetime(START.year, START.month, START.day, START_HOUR_UTC, tzinfo=UTC)
    driver = Driver(platform, list(stack.processes), begin)
    prepare(platform, stack, TENANT)
    debtors = draw_sample(
        seed=options.seed,
        debtors=options.debtors,
        start=START,
        brazil_steps=steps_of(ladder("br")),
        us_steps=steps_of(ladder("us")),
    )
    posted = list(registrations(debtors, begin))
    results = platform.post_events(iter(posted))
    say(f"posted {len(posted)} debts of {len(debtors)} debtors")
    end = begin + timedelta(days=options.days)
    client = _Client(platform, driver, debtors, end)
    driver.run_until(end, client.act)
    say(f"{options.days} days in {driver.ticks} steps of the law clock")
    return Run(
        seed=options.seed,
        days=options.days,
        debtors=debtors,
        debts=len(posted),
        results=results + client.results,
        settled=client.settled,
        begin=begin,
        end=end,
    )


class _Client:
    """The creditor's billing system: books what debtors pay and posts it, and shows progress."""

    def __init__(
        self, platform: Platform, driver: Driver, debtors: list[Debtor], end: datetime
    ) -> None:
        self._platform = platform
        self._driver = driver
        self._books = Books(debtors)
        self._seen = 0
        self._end = end
        self._shown = 0.0
        self.payments = 0
        self.results: list[Json] = []
        self.settled: dict[str, tuple[datetime, datetime]] = {}

    def act(self) -> bool:
        """Post the payments that debtors made since the last tick; say whether there were any."""
        self._show()
        found = self._platform.sandbox("GET", f"/sandbox/payments?after={self._seen}")["payments"]
        if not found:
            return False
        self._seen = found[-1]["seq"]
        now = self._driver.now
        events: list[Json] = []
        for payment in found:
            events += self._books.pay(payment["recipient"], payment["fraction"], now)
        self.payments += len(events)
        self.results.extend(self._platform.post_events(iter(events)))
        accepted_at = self._platform.machine_now()
        for address in {payment["recipient"] for payment in found}:
            debtor = self._books.debtor(address)
            if debtor is not None and not self._books.owes(address):
                self.settled.setdefault(debtor.phone, (accepted_at, now))
        return bool(events)

    def _show(self) -> None:
        now = time.monotonic()
        if now - self._shown < PROGRESS_SECONDS:
            return
        self._shown = now
        sent = self._platform.progress("sandbox")["counters"].get("accepted", 0)
        left = (self._end - self._driver.now).days
        day = self._driver.now.date().isoformat()
        say(f"{day}: {sent} messages accepted, {self.payments} payments, {left} days to go")


def say(line: str) -> None:
    """Show one line of progress."""
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
