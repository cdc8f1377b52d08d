"""Command line: `python -m services.sms_sender serve | migrate | settings`."""

import sys

from services.sms_sender.channel import SMS
from services.sms_sender.settings import SmsSenderSettings
from shared.sender.service import run_sender

if __name__ == "__main__":
    sys.exit(run_sender(SMS, SmsSenderSettings))
