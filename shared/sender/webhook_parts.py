"""A webhook that carries many events, and the question a provider asks before it sends any.

In: an authentic webhook, or a GET of its URL. Out: one webhook per event, each the same whenever it
is repeated, so that one of them can wait, fail or come twice without the others; the answer to the
question, for a provider that shows our verify token.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from starlette.responses import PlainTextResponse, Response

from shared.http.problems import Problem
from shared.sender.provider import (
    Account,
    Batching,
    Provider,
    Subscribed,
    UnreadableWebhookError,
    WebhookRequest,
)
from shared.telemetry import metrics


def parts_of(provider: Provider[Any], webhook: WebhookRequest) -> Sequence[WebhookRequest]:
    """Return a webhook's events as webhooks of their own; one that cannot be taken apart whole."""
    if not isinstance(provider, Batching):
        return (webhook,)
    try:
        bodies = provider.split(webhook.body)
    except UnreadableWebhookError:
        return (webhook,)  # reading it fails likewise, and is told there
    return [msgspec.structs.replace(webhook, body=body) for body in bodies] or (webhook,)


def answer_question(
    provider: Provider[Any], account: Account, query: Mapping[str, str]
) -> Response:
    """Answer the GET by which a provider makes sure of a webhook's URL."""
    if not isinstance(provider, Subscribed):
        raise Problem(405, headers={"Allow": "POST"})
    word = provider.challenge(query, account)
    if word is None:
        metrics.SENDER_WEBHOOKS.labels("forged").inc()
        raise Problem(403, detail="The verify token is missing or wrong.")
    return PlainTextResponse(word)
