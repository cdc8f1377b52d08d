"""Every provider and every trouble: the table of contract cases.

In: one entry per provider. Out: the parameters of the tests beside this file. A provider joins by
one line in `PROVIDERS`; its sandbox must know the same faults as all.
"""

from typing import Any

import msgspec

from tests.contract.providers.entry import Code, Entry
from tests.contract.providers.infobip import INFOBIP
from tests.contract.providers.meta import META
from tests.contract.providers.ses import SES
from tests.contract.providers.smtp import SMTP
from tests.contract.providers.twilio import TWILIO

PROVIDERS: tuple[Entry, ...] = (TWILIO, INFOBIP, SES, SMTP, META)


class Trouble(msgspec.Struct, frozen=True, kw_only=True):
    """A scripted trouble of the call itself; `accepted` is what the provider knows afterwards."""

    name: str
    fault: dict[str, Any]
    accepted: bool

    def __str__(self) -> str:
        return self.name


HANG_SECONDS = 30  # longer than the tests' client waits

# Each leaves our side in the dark, whatever the provider did.
DARK = (
    Trouble(name="500_before", fault={"kind": "error_500_before"}, accepted=False),
    Trouble(name="500_after", fault={"kind": "error_500_after_acceptance"}, accepted=True),
    Trouble(
        name="timeout_before",
        fault={"kind": "timeout_before", "seconds": HANG_SECONDS},
        accepted=False,
    ),
    Trouble(
        name="timeout_after",
        fault={"kind": "timeout_after_acceptance", "seconds": HANG_SECONDS},
        accepted=True,
    ),
    Trouble(name="reset_before", fault={"kind": "reset_connection"}, accepted=False),
    Trouble(
        name="reset_after", fault={"kind": "reset_connection", "accepted": True}, accepted=True
    ),
    *(
        Trouble(
            name=f"garbled_{shape}_{'after' if accepted else 'before'}",
            fault={"kind": "garbled_answer", "shape": shape, "accepted": accepted},
            accepted=accepted,
        )
        for shape in ("html", "truncated", "empty", "wrong_json")
        for accepted in (True, False)
    ),
)

# What people write, and what it means: language, words, intent.
REPLIES = (
    ("pt", "Vou pagar R$ 100,00 amanhã", "promise"),
    ("pt", "já paguei ontem", "paid"),
    ("pt", "SAIR", "opt_out"),
    ("pt", "Não me mande mais mensagens", "opt_out"),
    ("en", "I will pay tomorrow", "promise"),
    ("en", "I don't owe this", "dispute"),
    ("en", "STOP", "opt_out"),
    ("en", "Please stop texting me", "opt_out"),
    ("es", "Voy a pagar mañana 👍", "promise"),
    ("es", "Número equivocado", "wrong_person"),
    ("es", "BAJA", "opt_out"),
)


def refusals() -> list[tuple[Entry, Code]]:
    """Every provider with every code that a send can be refused with."""
    return [(entry, code) for entry in PROVIDERS for code in entry.refusals]


def rejections() -> list[tuple[Entry, Code]]:
    """Every provider with every code that a receipt can bring."""
    return [(entry, code) for entry in PROVIDERS if entry.webhooks for code in entry.rejections]
