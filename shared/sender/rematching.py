"""Whose unmatched receipts are looked at next: every account in turn, each an equal share.

In: a database connection. Out: pages of receipts that fitted no attempt so far. One account may
pile up thousands (another system sends from the same number): its pages follow one another through
the pile and begin again, and take nothing from the others' share. Places are this process's own;
losing them with it only begins the round anew.
"""

from datetime import datetime, timedelta

from shared.postgres import Connection
from shared.sender.store import unfinished
from shared.sender.store.receipts import RawReceipt
from shared.sender.store.unfinished import Account, Turn

PAGE_MAX = 500  # receipts of one look, as many as one batch understands
ACCOUNTS_MAX = 100  # of one look: each then gets five; with more, the rest follows in the next
FRESH = timedelta(seconds=5)  # an unmatched webhook counts as pending for so long
MATCHED_AFTER = timedelta(seconds=2)  # what just came is left to who took it in

Key = tuple[str, str]  # tenant, account

BEGINNING: Key = ("", "")


class Rematching:
    """Takes turns among accounts, and within each of them."""

    def __init__(self) -> None:
        self._after = BEGINNING
        self._turns: dict[Key, Turn] = {}
        self.fresh = 0

    async def page(self, conn: Connection, now: datetime) -> list[RawReceipt]:
        """Return the next page; `fresh` then says how many of these accounts' are fresh."""
        found = await self._accounts(conn, now)
        self.fresh = sum(each.fresh for each in found)
        if not found:
            return []
        share = PAGE_MAX // len(found)
        turns = [self._turn(each) for each in found]
        page = await unfinished.unmatched(conn, turns, before=now - MATCHED_AFTER, share=share)
        self._go_on(turns, page, share)
        return page

    async def _accounts(self, conn: Connection, now: datetime) -> list[Account]:
        """Return whose turn it is; after the last account the first follows."""
        after = self._after
        found: list[Account] = []
        while not found:
            found = await unfinished.accounts(
                conn,
                after=after,
                fresh_from=now - FRESH,
                limit=ACCOUNTS_MAX,
                fresh_max=PAGE_MAX,
            )
            if after == BEGINNING:
                break
            after = BEGINNING
        whole = len(found) < ACCOUNTS_MAX
        self._after = BEGINNING if whole else _key(found[-1])
        if whole and after == BEGINNING:  # these are all: forget the places of others
            kept = {_key(each) for each in found}
            self._turns = {key: turn for key, turn in self._turns.items() if key in kept}
        return found

    def _turn(self, account: Account) -> Turn:
        first = Turn(tenant_id=account.tenant_id, account_id=account.account_id)
        return self._turns.get(_key(account), first)

    def _go_on(self, turns: list[Turn], page: list[RawReceipt], share: int) -> None:
        """Remember where each account's page ended; a short one was its last."""
        taken: dict[Key, list[RawReceipt]] = {_key(turn): [] for turn in turns}
        for each in page:
            taken[_key(each)].append(each)
        for key, receipts in taken.items():
            if len(receipts) < share:
                self._turns.pop(key, None)
                continue
            last = receipts[-1]
            self._turns[key] = Turn(
                tenant_id=last.tenant_id,
                account_id=last.account_id,
                after_at=last.received_at,
                after_id=last.receipt_id,
            )


def _key(named: Account | Turn | RawReceipt) -> Key:
    return named.tenant_id, named.account_id
