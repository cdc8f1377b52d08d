"""What a shell needs to speak to a running stack: addresses and keys, as lines to source.

In: a started stack. Out: a file for its owner's eyes only. `make up` writes `.regua/up.env` and
takes it away when it stops.
"""

from pathlib import Path

from deploy.local.stack import SANDBOX, Stack


def write(stack: Stack, path: Path) -> Path:
    """Write the variables of this stack; returns the file."""
    lines = {
        "SCHEDULER": stack.url("scheduler"),
        "SMS_SENDER": stack.url("sms_sender"),
        "EMAIL_SENDER": stack.url("email_sender"),
        "WHATSAPP_SENDER": stack.url("whatsapp_sender"),
        "MAIL_DOOR": stack.mail_door,
        "LEDGER": stack.url("contact_ledger"),
        "KAFKA": stack.kafka.bootstrap,
        "SANDBOX": stack.url(SANDBOX),
        "ADMIN_KEY": stack.admin_key,
        "SANDBOX_CONTROL_KEY": stack.control_key,
        "SANDBOX_AUTH_TOKEN": stack.keys["sandbox_account"],
    }
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text("".join(f"export {name}={value}\n" for name, value in lines.items()))
    return path
