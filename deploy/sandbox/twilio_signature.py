"""The signature of the provider's webhooks: HMAC-SHA1 over the URL and the sorted form fields."""

import base64
import hmac
from collections.abc import Mapping


def sign(token: str, url: str, fields: Mapping[str, str]) -> str:
    """Return the X-Twilio-Signature of a form webhook to `url` carrying `fields`."""
    text = url + "".join([name + fields[name] for name in sorted(fields)])
    return base64.b64encode(hmac.digest(token.encode(), text.encode(), "sha1")).decode()
