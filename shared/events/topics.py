"""Every topic: its key, who writes it, who reads it, how it is kept.

Partition counts of `debt.events.v1` and `contact.events.v1` are equal (the planner co-partitions
them); a service that finds another count than the one stored at creation refuses to start.
"""

import msgspec

RETENTION_DAYS = 7  # exactly: erasure is complete when retention and the outbox window have passed


class Topic(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the topic table."""

    name: str
    key: str
    producers: tuple[str, ...]
    consumers: tuple[str, ...]
    compacted: bool = False
    meaning: str


DEBT_EVENTS = Topic(
    name="debt.events.v1",
    key="debtor_id",
    producers=("scheduler",),
    consumers=("scheduler", "contact_ledger"),
    meaning="what client systems told us, after identity was resolved",
)
CONTACT_TASKS_SMS = Topic(
    name="contact.tasks.sms.v1",
    key="debtor_id",
    producers=("scheduler",),
    consumers=("sms_sender",),
    meaning="permitted SMS contacts, and requests to close them",
)
CONTACT_TASKS_EMAIL = Topic(
    name="contact.tasks.email.v1",
    key="debtor_id",
    producers=("scheduler",),
    consumers=("email_sender",),
    meaning="permitted e-mail contacts, and requests to close them",
)
CONTACT_TASKS_WHATSAPP = Topic(
    name="contact.tasks.whatsapp.v1",
    key="debtor_id",
    producers=("scheduler",),
    consumers=("whatsapp_sender",),
    meaning="permitted WhatsApp contacts, and requests to close them",
)
CONTACT_TASKS_HANDOFF = Topic(
    name="contact.tasks.handoff.v1",
    key="debtor_id",
    producers=("scheduler",),
    consumers=("outside",),
    meaning="steps that people take, for dialers, letter houses and legal desks; and their end",
)
CONTACT_EVENTS = Topic(
    name="contact.events.v1",
    key="debtor_id",
    producers=("scheduler", "sms_sender", "email_sender", "whatsapp_sender"),
    consumers=("scheduler", "contact_ledger"),
    meaning="every decision, attempt, receipt and reply",
)
CONTACT_HOLDS = Topic(
    name="contact.holds.v1",
    key="hold_id",
    producers=("scheduler", "sms_sender", "email_sender", "whatsapp_sender"),
    consumers=("scheduler", "sms_sender", "email_sender", "whatsapp_sender", "contact_ledger"),
    compacted=True,
    meaning="pauses and their lifts, on a lane of their own, with complete_through marks",
)
PLATFORM_CONFIG = Topic(
    name="platform.config.v1",
    key="kind/tenant/id",
    producers=("scheduler",),
    consumers=("scheduler", "sms_sender", "email_sender", "whatsapp_sender", "contact_ledger"),
    compacted=True,
    meaning="configuration, newest version of each entry",
)

TOPICS: tuple[Topic, ...] = (
    DEBT_EVENTS,
    CONTACT_TASKS_SMS,
    CONTACT_TASKS_EMAIL,
    CONTACT_TASKS_WHATSAPP,
    CONTACT_TASKS_HANDOFF,
    CONTACT_EVENTS,
    CONTACT_HOLDS,
    PLATFORM_CONFIG,
)

TASKS_BY_CHANNEL = {
    "sms": CONTACT_TASKS_SMS,
    "email": CONTACT_TASKS_EMAIL,
    "whatsapp": CONTACT_TASKS_WHATSAPP,
    "handoff": CONTACT_TASKS_HANDOFF,
}


def dead_letters(topic: str) -> str:
    """Name of the topic that takes what could not be read from `topic`."""
    return f"{topic}.dlq"
