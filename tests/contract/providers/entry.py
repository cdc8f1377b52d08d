"""What the contract cases need to know of a provider: one `Entry`, and it meets them all.

In: how its account, messages and refusals look. Out: a value for the table in `cases.py`. What a
provider cannot do is said here, never skipped silently in a case.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from shared.events.configuration import SenderAccount
from shared.sender.channel import Channel
from shared.sender.errors import ErrorKind

Code = int | str
NOWHERE = "http://127.0.0.1:9"  # the discard port: nobody listens


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One provider on one channel.

    `settings(url, registered)` is its sender account against a sandbox at `url` whose registration
    answered `registered`; `unreachable` one that nobody answers. `registration(url)` is the body of
    POST /sandbox/accounts when its webhooks come to `url`. `credentials` are resolved ones;
    `webhook_secret` names the one that webhooks are checked with (a rotation adds `_next`), None
    when that is no secret of ours. `address(n)` is the n-th recipient, `message(to, text)` what the
    channel composes. `refusals` are the codes that a send can be refused with, `rejections` those
    that a receipt can bring; `scripted` is how the sandbox is told a code. `retry_after` says that
    it tells how long to wait, `webhooks` that receipts come by HTTP, `signs_body` that a changed
    byte shows. `certain` names the troubles of `cases.DARK` in which this provider leaves no doubt.
    """

    name: str
    channel: Channel[Any]
    credentials: Mapping[str, str]
    registration: Callable[[str], dict[str, object]]
    settings: Callable[[str, Mapping[str, Any]], SenderAccount]
    unreachable: Callable[[], SenderAccount]
    message: Callable[[str, str], Any]
    address: Callable[[int], str]
    refusals: Mapping[Code, ErrorKind]
    rejections: Mapping[Code, ErrorKind]
    forged: Callable[[Mapping[str, str]], Mapping[str, str]]
    webhook_secret: str | None
    retry_after: bool = True
    webhooks: bool = True
    signs_body: bool = False
    certain: frozenset[str] = frozenset()
    scripted: Callable[[Code], Code] = lambda code: code
    replies: bool = True

    @property
    def provider(self) -> Any:
        """The adapter under test."""
        return self.channel.providers[self.name]
