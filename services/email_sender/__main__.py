"""Command line: `python -m services.email_sender serve | migrate | settings`."""

import sys

from services.email_sender.channel import EMAIL
from services.email_sender.settings import EmailSenderSettings
from shared.sender.service import run_sender

if __name__ == "__main__":
    sys.exit(run_sender(EMAIL, EmailSenderSettings))
