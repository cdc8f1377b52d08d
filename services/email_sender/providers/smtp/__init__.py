"""SMTP submission to any relay: the one provider that is no HTTP one.

In: mails and sender accounts. Out: results of the runtime, over a bounded pool of connections.
`adapter` converses, `pool` keeps connections, `codes` says what a refusal means.
"""

from services.email_sender.providers.smtp.adapter import Smtp

__all__ = ["Smtp"]
