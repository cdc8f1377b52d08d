"""The demo's end report: what happened in thirty days, readable on a terminal.

In: plain dicts, as the ledger's HTTP answers them, and the verifier's verdict. Out: text. The last
line is for machines too: `demo: ok debts=… contacts=… lost=0 duplicates=0 unlawful=0 seconds=…`.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from deploy.demo.verify import Finding, Verdict

WIDTH = 78
LABEL_WIDTH = 30
TIMELINE_MAX = 24  # lines of one debtor's life; what is beyond is counted
REASONS_MAX = 12
OUTCOMES = ("read", "delivered", "undelivered", "sent", "accepted", "unknown", "failed",
            "expired", "cancelled", "withheld", "open")  # fmt: skip
KPI_LABELS = {
    "penetration": "penetration (accounts reached / assigned)",
    "intensity": "intensity (attempts / accounts attempted)",
    "rpc": "right-party contacts / contacts",
    "ptp": "promises / right-party contacts",
    "kp_of_promises": "promises kept / promises",
    "kp_of_due": "promises kept / promises due",
}
RATIOS = frozenset(KPI_LABELS) - {"intensity"}

Table = Mapping[str, Mapping[str, int]]


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What the report tells.

    `contacts`: outcome counts by channel; `kpis`: figures by portfolio (None: empty denominator);
    `promises`: made, kept, broken; `payments`: by currency, as {"count", "amount" in minor units};
    `withheld` and `deferred`: counts by reason; `followed_up`: steps that went on to another
    channel; `handed_off`: people's work, by kind and age or end; `timeline`: {"at", "what",
    "detail"} of the debtor named by `debtor`; `debts`, `seconds`: totals of the run.
    """

    title: str
    contacts: Table
    kpis: Mapping[str, Mapping[str, float | None]]
    promises: Mapping[str, int]
    payments: Mapping[str, Mapping[str, int]]
    withheld: Mapping[str, int]
    deferred: Mapping[str, int]
    debtor: str
    timeline: Sequence[Mapping[str, Any]]
    debts: int
    seconds: float
    followed_up: Mapping[str, int] = {}
    handed_off: Mapping[str, int] = {}


def render(summary: Summary, verdict: Verdict) -> str:
    """Return the whole report, the final line included."""
    sections = (
        [summary.title, "=" * min(WIDTH, len(summary.title))],
        _contacts(summary.contacts),
        _reasons("Steps that went on to another channel", summary.followed_up),
        _reasons("Handed to people, by kind and age, and what was taken back", summary.handed_off),
        _money(summary),
        _kpis(summary.kpis),
        _reasons("Withheld, by reason", summary.withheld),
        _reasons("Deferred, by reason (counted each time)", summary.deferred),
        _timeline(summary.debtor, summary.timeline),
        _verdict(verdict),
        [final_line(summary, verdict)],
    )
    return "\n\n".join("\n".join(lines) for lines in sections if lines) + "\n"


def final_line(summary: Summary, verdict: Verdict) -> str:
    """Return the line that says whether the demo held its promises."""
    lost, duplicates, unlawful = verdict.counts
    contacts = sum(sum(row.values()) for row in summary.contacts.values())
    return (
        f"demo: {'ok' if verdict.ok else 'FAILED'} debts={summary.debts} contacts={contacts} "
        f"lost={lost} duplicates={duplicates} unlawful={unlawful} seconds={summary.seconds:.0f}"
    )


def _contacts(contacts: Table) -> list[str]:
    present = [name for name in OUTCOMES if any(row.get(name) for row in contacts.values())]
    present += sorted({name for row in contacts.values() for name in row} - set(OUTCOMES))
    head = "".join(f"{name:>12}" for name in [*present, "all"])
    lines = ["Contacts by channel and outcome", f"  {'':10}{head}"]
    for channel, row in sorted(contacts.items()):
        figures = [row.get(name, 0) for name in present]
        cells = "".join(f"{figure:>12,}" for figure in [*figures, sum(row.values())])
        lines.append(f"  {channel:10}{cells}")
    return lines


def _money(summary: Summary) -> list[str]:
    promises = ", ".join(f"{count:,} {name}" for name, count in summary.promises.items())
    lines = ["Promises and payments", f"  promises: {promises or 'none'}"]
    for currency, paid in sorted(summary.payments.items()):
        amount = f"{paid['amount'] / 100:,.2f} {currency}"
        lines.append(f"  payments: {paid['count']:,} of {amount} in all")
    return lines


def _kpis(kpis: Mapping[str, Mapping[str, float | None]]) -> list[str]:
    portfolios = sorted(kpis)
    head = "".join(f"{name:>16}" for name in portfolios)
    lines = ["Key figures", f"  {'':44}{head}"]
    for key, label in KPI_LABELS.items():
        cells = "".join(f"{_figure(key, kpis[name].get(key)):>16}" for name in portfolios)
        lines.append(f"  {label:44}{cells}")
    return lines


def _figure(key: str, value: float | None) -> str:
    if value is None:
        return "no data"
    return f"{value:.1%}" if key in RATIOS else f"{value:.2f}"


def _reasons(title: str, reasons: Mapping[str, int]) -> list[str]:
    ordered = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    lines = [title, *(f"  {count:>8,}  {reason}" for reason, count in ordered[:REASONS_MAX])]
    if len(ordered) > REASONS_MAX:
        rest = ordered[REASONS_MAX:]
        lines.append(f"  {sum(count for _, count in rest):>8,}  {len(rest)} other reasons")
    return lines if ordered else [title, "  none"]


def _timeline(debtor: str, entries: Sequence[Mapping[str, Any]]) -> list[str]:
    if not entries:
        return []
    lines = [f"One debtor's timeline: {debtor}"]
    for entry in entries[:TIMELINE_MAX]:
        at = entry["at"]
        when = at if isinstance(at, datetime) else datetime.fromisoformat(at)
        detail = str(entry.get("detail") or "")
        text = f"  {when:%a %d %b %H:%M}  {entry['what']:<{LABEL_WIDTH}} {detail}"
        lines.append(text.rstrip()[: WIDTH + LABEL_WIDTH])
    if len(entries) > TIMELINE_MAX:
        lines.append(f"  … and {len(entries) - TIMELINE_MAX} more")
    return lines


def _verdict(verdict: Verdict) -> list[str]:
    lines = ["Verified against what intake accepted, the provider's truth log and the ledger"]
    parts: Iterable[tuple[str, tuple[Finding, ...]]] = (
        ("lost", verdict.lost),
        ("duplicates", verdict.duplicates),
        ("unlawful", verdict.unlawful),
    )
    for name, findings in parts:
        lines.append(f"  {name:12}{sum(finding.count for finding in findings):>8,}")
        for finding in findings:
            lines.append(f"    {finding.kind.replace('_', ' ')}: {finding.count:,}")
            lines.extend(f"      e.g. {example}" for example in finding.examples)
    return lines
