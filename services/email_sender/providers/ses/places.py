"""Where Amazon's services of an account are: hosts by region, or the account's own `base_url`.

In: an account's options. Out: a `Place`, or None when an option is missing or malformed. Host names
are made from checked regions only; nothing that a webhook says ever becomes part of one.
"""

import re
from urllib.parse import urlsplit

import msgspec

from shared.events.configuration import SenderAccount

TOPICS_MAX = 2  # the topic in use, and the one that replaces it
_REGION = re.compile(r"[a-z]{2,4}(?:-[a-z]{2,12}){1,3}-[0-9]{1,2}")
_TOPIC = re.compile(
    r"arn:aws[a-z-]{0,16}:sns:(?P<region>[a-z0-9-]{5,40}):[0-9]{12}:[A-Za-z0-9_-]{1,256}"
)


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """An account's region, its endpoint (no slash at the end) and its configuration set."""

    region: str
    endpoint: str
    configuration_set: str


def place_of(settings: SenderAccount) -> Place | str:
    """Return where to send, or the name of the option that is missing or malformed."""
    region = settings.options.get("region", "")
    if _REGION.fullmatch(region) is None:
        return "region"
    configuration_set = settings.options.get("configuration_set", "")
    if not configuration_set:
        return "configuration_set"
    endpoint = settings.base_url or f"https://email.{region}.{domain_of(region)}"
    return Place(region=region, endpoint=endpoint.rstrip("/"), configuration_set=configuration_set)


def topics_of(settings: SenderAccount) -> tuple[str, ...]:
    """Return the topics whose messages are believed."""
    named = settings.options.get("topic_arn", "").split(",")[:TOPICS_MAX]
    return tuple([each.strip() for each in named if _TOPIC.fullmatch(each.strip())])


def notification_origin(settings: SenderAccount, topic_arn: str) -> str | None:
    """Return the only origin that a topic's certificates come from and confirmations go to.

    Amazon's own in the topic's region; for an account with a `base_url`, that one's. None for what
    is no topic.
    """
    found = _TOPIC.fullmatch(topic_arn)
    if found is None or _REGION.fullmatch(found["region"]) is None:
        return None
    if settings.base_url is not None:
        parts = urlsplit(settings.base_url)
        return f"{parts.scheme}://{parts.netloc}"
    return f"https://sns.{found['region']}.{domain_of(found['region'])}"


def domain_of(region: str) -> str:
    """Return the domain of a region's endpoints."""
    if region.startswith("cn-"):
        return "amazonaws.com.cn"
    return "amazonaws.eu" if region.startswith("eusc-") else "amazonaws.com"
