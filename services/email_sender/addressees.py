"""Whom a mail that comes in is for: the account, and the attempt that the address names.

In: recipient addresses, and the directory's accounts. Out: an `Addressee`, or nothing: then the
mail is refused before its words are read. Addresses that we gave out carry our seal; others of an
account (its sender, its Reply-To, any in its bounce domain) take mail whose content proves what it
is about.
"""

from collections import defaultdict
from collections.abc import Iterable
from itertools import chain

import msgspec

from services.email_sender.mime import REPLY
from services.email_sender.returns import REFERENCE, own_address
from shared.directory import Directory
from shared.events.configuration import SenderAccount
from shared.sender.callbacks import Callbacks
from shared.sender.provider import Account

REFERENCES_MAX = 50  # of those in a mail that are tried: threads quote a handful


class Addressee(msgspec.Struct, frozen=True, kw_only=True):
    """Who a mail is for; `address` names the attempt once `sealed`."""

    account: Account
    address: str
    sealed: bool


class Addressees:
    """The addresses of every account of the channel; rebuilt when configuration changes."""

    def __init__(self, directory: Directory, callbacks: Callbacks, channel: str) -> None:
        self._directory = directory
        self._callbacks = callbacks
        self._channel = channel
        self._revision = -1
        self._by_domain: dict[str, list[Account]] = {}
        self._by_address: dict[str, list[Account]] = {}

    def find(self, address: str) -> Addressee | None:
        """Return whom an address belongs to; None when it is nobody's, or its seal is broken."""
        self._refresh()
        local, _, domain = address.lower().rpartition("@")
        own = own_address(local)
        if own is not None:
            account = self._sealer(self._by_domain.get(domain, ()), own.reference)
            if account is None:
                return None
            return Addressee(account=account, address=f"{local}@{domain}", sealed=True)
        accounts = self._by_address.get(f"{local}@{domain}") or self._by_domain.get(domain)
        if not accounts:
            return None
        return Addressee(account=accounts[0], address=f"{local}@{domain}", sealed=False)

    def proved(self, address: str, content: bytes) -> Addressee | None:
        """Return whom a mail is for by a genuine reference somewhere in it, e.g. in References.

        Only references of the accounts that the address belongs to are tried: it is work that a
        stranger can ask for.
        """
        domain = address.lower().rpartition("@")[2]
        accounts = self._by_address.get(address.lower(), ()), self._by_domain.get(domain, ())
        seen = dict.fromkeys(
            match.group().lower() for match in REFERENCE.finditer(content.decode("latin-1"))
        )
        for reference in list(seen)[:REFERENCES_MAX]:
            account = self._sealer(chain(*accounts), reference)
            if account is not None:
                own = f"{REPLY}-{reference}@{_own_domain(account.settings)}"
                return Addressee(account=account, address=own, sealed=True)
        return None

    def _sealer(self, accounts: Iterable[Account], reference: str) -> Account | None:
        """Return the account for which a reference was made."""
        for account in accounts:
            if self._callbacks.read_reference(account.tenant_id, account.account_id, reference):
                return account
        return None

    def _refresh(self) -> None:
        if self._directory.revision == self._revision:
            return
        self._revision = self._directory.revision
        by_domain: dict[str, list[Account]] = defaultdict(list)
        by_address: dict[str, list[Account]] = defaultdict(list)
        for entry in self._directory.entries("account"):
            settings = self._directory.body("account", entry.tenant_id, entry.id, SenderAccount)
            if settings is None or settings.channel != self._channel:
                continue
            account = Account(
                tenant_id=entry.tenant_id, account_id=entry.id, settings=settings, credentials={}
            )
            by_domain[_own_domain(settings)].append(account)
            for address in {settings.sender, settings.options.get("reply_to", settings.sender)}:
                by_address[address.lower()].append(account)
        self._by_domain, self._by_address = dict(by_domain), dict(by_address)


def _own_domain(settings: SenderAccount) -> str:
    domain = settings.options.get("bounce_domain") or settings.sender.rpartition("@")[2]
    return domain.lower()
