"""Asking a provider back: what its webhook is checked with, and what the webhook wants done.

In: a webhook that came. Out: its signing key fetched, its subscription confirmed, where a provider
works that way (`AsksBack`); nothing at all for the others. What cannot be had now is answered 503,
so that the provider sends the webhook again.
"""

from collections.abc import Iterable
from typing import Any

import aiohttp

from shared.http.problems import Problem
from shared.sender.provider import (
    Account,
    AsksBack,
    KeyUnavailableError,
    Provider,
    WebhookRequest,
)
from shared.telemetry import logs, metrics

_log = logs.get_logger(__name__)


class Asking:
    """Asks the providers of one channel back."""

    def __init__(self, client: aiohttp.ClientSession, providers: Iterable[Provider[Any]]) -> None:
        self._client = client
        self._asked = {each.name: each for each in providers if isinstance(each, AsksBack)}

    async def ask(self, provider: Provider[Any], account: Account, webhook: WebhookRequest) -> None:
        """Fetch what the webhook's check needs; do what an authentic one asks for."""
        asked = self._asked.get(provider.name)
        if asked is None:
            return
        try:
            await asked.prepare(self._client, webhook, account)
            if provider.authenticate(webhook, account):
                await asked.confirm(self._client, webhook, account)
        except KeyUnavailableError as error:
            metrics.SENDER_WEBHOOKS.labels("not_stored").inc()
            _log.error("webhook_not_checked", provider=provider.name, reason=str(error))
            detail = "The webhook could not be checked now; send it again."
            raise Problem(503, detail=detail, headers={"Retry-After": "5"}) from error
