"""The secrets of a local stack: made anew for each run, or kept in a file for a lasting database.

Out: environment variables by service. Nothing here is ever an example value, so production mode
accepts them too.
"""

import base64
import json
import secrets
from pathlib import Path

from deploy.local.databases import SERVICES
from deploy.local.errors import CannotRun
from deploy.local.places import unwritable

KEY_BYTES = 32
# The accounts that the sandbox plays for the sample: what their SIDs are, by variable.
SANDBOX_SIDS = {"SANDBOX_BR_SID": "AC" + "b5" * 16, "SANDBOX_US_SID": "AC" + "05" * 16}
SANDBOX_MAIL_USERS = {"SANDBOX_BR_MAIL_USER": "casa-aurora", "SANDBOX_US_MAIL_USER": "lakeside"}
Keys = dict[str, str]


def made() -> Keys:
    """New secrets, by a name of our own: one database password per service and the keys."""
    names = ("identity", "address", "text", "callback", "lookup", "ledger")
    keys = {name: base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode() for name in names}
    passwords = {f"password_{service}": secrets.token_urlsafe(18) for service in SERVICES}
    plain = ("sandbox_control", "sandbox_account")
    return keys | passwords | {name: secrets.token_hex(16) for name in plain}


def kept(path: Path) -> Keys:
    """The secrets of this file; made, for its owner's eyes only, when it is not there."""
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            path.write_text(json.dumps(made(), indent=1))
        found: Keys = json.loads(path.read_text())
    except OSError as error:
        raise CannotRun(unwritable(path, error)) from error
    except ValueError as error:
        raise CannotRun(f"{path} is not readable as JSON: delete it (and its database)") from error
    return found


def passwords(keys: Keys) -> dict[str, str]:
    """Database password of each service."""
    return {service: keys[f"password_{service}"] for service in SERVICES}


def environment(service: str, keys: Keys) -> dict[str, str]:
    """The secrets that this service is given, as its environment variables."""
    sender = {
        "ADDRESS_KEY": keys["address"],
        "TEXT_KEY": keys["text"],
        "CALLBACK_KEY": keys["callback"],
        # What a sender account of the sandbox names as the variable of its auth token.
        "SANDBOX_AUTH_TOKEN": keys["sandbox_account"],
        **SANDBOX_MAIL_USERS,
        **SANDBOX_SIDS,
    }
    by_service = {
        "scheduler": {
            "IDENTITY_KEYS": f"local:{keys['identity']}",
            "ADDRESS_KEY": keys["address"],
        },
        "contact_ledger": {
            "LEDGER_KEK": keys["ledger"],
            "LOOKUP_KEY": f"local:{keys['lookup']}",
            "TEXT_KEY": keys["text"],
        },
        "sandbox": {"SANDBOX_CONTROL_KEY": keys["sandbox_control"]},
    }
    return by_service.get(service, sender)
