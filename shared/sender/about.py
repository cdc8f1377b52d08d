"""What a sender says of itself in its OpenAPI document: its one door, the providers' webhooks.

In: the channel. Out: the head of the document, and the operation of the webhooks' route with the
providers that this channel knows.
"""

from typing import Any

from shared.http.document import About
from shared.http.operations import Schema, body, operation, parameter
from shared.sender.channel import Channel

# The media types that providers post: forms, JSON, and JSON that says it is plain text.
TAKEN = ("application/json", "application/x-www-form-urlencoded", "text/plain")
CALLBACK = {
    "a": "attempt",
    "c": "contact",
    "d": "debtor",
    "n": "number of the attempt",
    "e": "end of the permit, YYYYMMDD",
    "s": "our HMAC over the others",
}


def about(channel: Channel[Any], port: int) -> About:
    """Return the head of a sender's document."""
    return About(
        text=(
            f"Permitted contacts of the channel {channel.name} in (over Kafka), provider calls and "
            "facts out. Its HTTP is for providers, which post receipts and replies to it, and for "
            "operators. Client systems have nothing to ask here: see the scheduler and the ledger."
        ),
        tags={"webhooks": "What providers post, each signed in the provider's own way."},
        port=port,
    )


def webhook_operations(channel: Channel[Any]) -> Schema:
    """Return the operations of the webhooks' route, by method."""
    return {"POST": _taking(channel), "GET": _challenge(channel)}


def _taking(channel: Channel[Any]) -> Schema:
    answers = sorted({each.webhook_answer.content_type for each in channel.providers.values()})
    told = operation("take_webhook", gives=None, meaning="Stored", refuses=(403,))
    told["responses"]["200"]["content"] = {each.partition(";")[0]: {} for each in answers}
    return told | {
        "tags": ["webhooks"],
        "summary": "Take delivery receipts and replies from a provider, signed by it",
        "description": (
            "The body is the provider's own, at most 256 KiB, and its signature is checked over "
            "the raw bytes and the public URL before anything in it is believed. It answers once "
            "the webhook is stored; on 503 it was not, and should be sent again. Callback URLs "
            "that this service gave out name their attempt in the query; what they name is "
            "signed, too."
        ),
        "parameters": [
            *_path(channel),
            *(
                parameter(name, "query", f"callback URLs only: {text}", {"type": "string"})
                for name, text in CALLBACK.items()
            ),
        ],
        "requestBody": body({each: {} for each in TAKEN}),
    }


def _challenge(channel: Channel[Any]) -> Schema:
    told = operation(
        "answer_challenge", gives=None, meaning="The word that was asked for", refuses=(403, 405)
    )
    told["responses"]["200"]["content"] = {"text/plain": {"schema": {"type": "string"}}}
    return told | {
        "tags": ["webhooks"],
        "summary": "Answer a provider that asks before it sends",
        "description": (
            "Some providers GET a webhook's URL once, with a token that the account names and a "
            "word that they want back; 404 or 405 for those that do not."
        ),
        "parameters": _path(channel),
    }


def _path(channel: Channel[Any]) -> list[Schema]:
    text: Schema = {"type": "string"}
    known = text | {"enum": sorted(channel.providers)}
    return [
        parameter("provider", "path", "provider of the account", known, required=True),
        parameter("tenant_id", "path", "tenant", text, required=True),
        parameter("account_id", "path", "account", text, required=True),
    ]
