"""Command line: `python -m services.whatsapp_sender serve | migrate | settings`."""

import sys

from services.whatsapp_sender.channel import WHATSAPP
from services.whatsapp_sender.settings import WhatsAppSenderSettings
from shared.sender.service import run_sender

if __name__ == "__main__":
    sys.exit(run_sender(WHATSAPP, WhatsAppSenderSettings))
