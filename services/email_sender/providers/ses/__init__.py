"""Amazon SES v2: `adapter` sends, `answers` and `events` read, `signing` and `notifications` prove.

In: e-mails and accounts. Out: results, receipts and opt-outs in the runtime's words. An account
needs the credentials `access_key_id` and `secret_access_key` (and `session_token` with temporary
ones) and the options `region`, `topic_arn` (of the topic that its events come by; two, separated
by a comma, while one replaces the other) and `configuration_set`, whose event destination publishes
to that topic. Only events of a configuration set carry our reference, and SES has neither an
idempotency key nor a look-up by reference: without it no unknown outcome would ever become known.

API: https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html; events:
https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html.
"""

from services.email_sender.providers.ses.adapter import Ses

__all__ = ["Ses"]
