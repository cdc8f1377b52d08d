"""Ladders: from an analyst's YAML to a checked `Ladder`.

In: YAML text. Out: the ladder, or `PolicyError` with line, field and remedy: steps in order of
offset and stage, stable unique keys, a template per channel, no e-mail as the only channel for old
debts, mandatory steps that wait. Whether a portfolio may use a channel is `channels.py`'s question.
"""

import msgspec

from services.scheduler.policy.documents import Lines, check_choice, check_key, read
from services.scheduler.policy.rulebook import HANDOFF, STAGE_NAMES, Fallback, Ladder, Step

CHANNELS = ("sms", "email", "whatsapp", HANDOFF)
CONTENT_CLASSES = ("utility", "marketing")
MISFIRES = ("skip", "send_once", "replan")
STEPS_MAX = 100  # a step every few days for a year; more is a mistake, not a plan
OFFSET_DAYS_MIN, OFFSET_DAYS_MAX = -60, 3_650
EMAIL_ALONE_DAYS_MAX = 30  # collection practice: e-mail only near the due date
EMAIL_ALONE_STAGE_MAX = 2
FALLBACK_DAYS_MAX = 30  # later, another step has more to say


class FallbackDocument(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When the next channel follows, in days after the message left."""

    undelivered_days: int | None = None
    unread_days: int | None = None
    unanswered_days: int | None = None


class StepDocument(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A step as analysts write it; `note` is for readers."""

    key: str
    offset_days: int
    stage: int | str
    channels: tuple[str, ...]
    templates: dict[str, str] = {}
    content_class: str = "utility"
    mandatory: bool = False
    misfire: str | None = None
    max_days_late: int = 3
    after_step: str | None = None
    wait_days: int = 0
    fallback: FallbackDocument | None = None
    objective: str = ""
    note: str = ""


class LadderDocument(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A ladder file."""

    ladder: str
    version: int
    steps: tuple[StepDocument, ...]
    title: str = ""
    gap_days: int = 1
    note: str = ""


def load_ladder(text: str) -> Ladder:
    """Read a ladder; raise `PolicyError` naming line, field and remedy."""
    document, lines = read(text, LadderDocument)
    check_key(document.ladder, lines, "ladder")
    if document.version < 1:
        raise lines.error("a version counts from 1", "version", remedy="start with 1")
    if not 0 <= document.gap_days <= STEPS_MAX:
        raise lines.error("a gap is 0 days or more", "gap_days", remedy="use 1")
    if not 0 < len(document.steps) <= STEPS_MAX:
        raise lines.error(
            f"a ladder has 1 to {STEPS_MAX} steps", "steps", remedy="add or merge steps"
        )
    steps = tuple(_step(step, str(i), lines) for i, step in enumerate(document.steps))
    _check_order(steps, lines)
    return Ladder(
        id=document.ladder,
        version=document.version,
        steps=steps,
        title=document.title,
        gap_days=document.gap_days,
    )


def _step(step: StepDocument, index: str, lines: Lines) -> Step:
    at = ("steps", index)
    check_key(step.key, lines, *at, "key")
    check_choice(step.content_class, CONTENT_CLASSES, lines, *at, "content_class")
    misfire = step.misfire or ("replan" if step.mandatory else "skip")
    check_choice(misfire, MISFIRES, lines, *at, "misfire")
    if step.mandatory and misfire != "replan":
        raise lines.error(
            "a mandatory step is waited for, it cannot be skipped",
            *at,
            "misfire",
            remedy="use replan, or make the step optional",
        )
    if not OFFSET_DAYS_MIN <= step.offset_days <= OFFSET_DAYS_MAX:
        raise lines.error(
            f"offset lies between {OFFSET_DAYS_MIN} and {OFFSET_DAYS_MAX} days",
            *at,
            "offset_days",
            remedy="count days from the due date",
        )
    if step.max_days_late < 0 or step.wait_days < 0:
        raise lines.error("days count from 0", *at, remedy="use 0 or more")
    stage = _stage(step.stage, lines, *at, "stage")
    _check_channels(step, stage, lines, at)
    return Step(
        key=step.key,
        offset_days=step.offset_days,
        stage=stage,
        channels=step.channels,
        templates=step.templates,
        content_class=step.content_class,
        mandatory=step.mandatory,
        misfire=misfire,
        max_days_late=step.max_days_late,
        after_step=step.after_step,
        wait_days=step.wait_days,
        fallback=_fallback(step, lines, at),
        objective=step.objective,
    )


def _stage(stage: int | str, lines: Lines, *path: str) -> int:
    if isinstance(stage, str):
        check_choice(stage, STAGE_NAMES, lines, *path)
        return STAGE_NAMES.index(stage)
    if not 0 <= stage < len(STAGE_NAMES):
        raise lines.error(
            f"a stage is 0 to {len(STAGE_NAMES) - 1}", *path, remedy=f"or: {', '.join(STAGE_NAMES)}"
        )
    return stage


def _check_channels(step: StepDocument, stage: int, lines: Lines, at: tuple[str, str]) -> None:
    if not step.channels:
        raise lines.error("a step needs a channel", *at, "channels", remedy="name one, e.g. sms")
    if len(set(step.channels)) < len(step.channels):
        raise lines.error("a channel is named twice", *at, "channels", remedy="name each once")
    if HANDOFF in step.channels[:-1]:
        raise lines.error(
            "nothing comes after a person", *at, "channels", remedy=f"move {HANDOFF} to the end"
        )
    for channel in step.channels:
        check_choice(channel, CHANNELS, lines, *at, "channels")
        if channel not in step.templates and channel != HANDOFF:
            raise lines.error(
                f"no template for channel {channel}", *at, "templates", remedy="add one"
            )
    for channel in step.templates:
        if channel not in step.channels:
            raise lines.error(
                "template for a channel that the step does not use",
                *at,
                "templates",
                channel,
                remedy="remove it or add the channel",
            )
    _check_email(step, stage, lines, at)


def _check_email(step: StepDocument, stage: int, lines: Lines, at: tuple[str, str]) -> None:
    if "email" not in step.channels:
        return
    if step.content_class != "utility":
        raise lines.error(
            "e-mail is for reminders only",
            *at,
            "content_class",
            remedy="use utility, or leave e-mail out",
        )
    late = step.offset_days > EMAIL_ALONE_DAYS_MAX or stage > EMAIL_ALONE_STAGE_MAX
    if set(step.channels) <= {"email", HANDOFF} and late:
        raise lines.error(
            "e-mail alone does not reach the debtor of an old debt",
            *at,
            "channels",
            remedy="add another channel",
        )


def _fallback(step: StepDocument, lines: Lines, at: tuple[str, str]) -> Fallback | None:
    if step.fallback is None:
        return None
    where = (*at, "fallback")
    if len(step.channels) == 1:
        raise lines.error("no other channel to go on to", *where, remedy="add a channel")
    given = {
        name: days
        for name in FallbackDocument.__struct_fields__
        if (days := getattr(step.fallback, name)) is not None
    }
    if not given:
        raise lines.error("says nothing", *where, remedy="give e.g. undelivered_days: 1")
    for name, days in given.items():
        if not 0 <= days <= FALLBACK_DAYS_MAX:
            raise lines.error(
                f"days lie between 0 and {FALLBACK_DAYS_MAX}", *where, name, remedy="use fewer"
            )
    if list(given.values()) != sorted(given.values()):
        raise lines.error(
            "what is known later cannot act sooner",
            *where,
            remedy="let undelivered_days, unread_days, unanswered_days rise",
        )
    return Fallback(**given)


def _check_order(steps: tuple[Step, ...], lines: Lines) -> None:
    seen: set[str] = set()
    for index, step in enumerate(steps):
        at = ("steps", str(index))
        before = steps[index - 1] if index else step
        if step.key in seen:
            raise lines.error("step key is used twice", *at, "key", remedy="rename the newer step")
        if step.offset_days < before.offset_days:
            raise lines.error(
                "steps stand in order of their offset", *at, "offset_days", remedy="move the step"
            )
        if step.stage < before.stage:
            raise lines.error(
                "a ladder never goes back to a milder stage",
                *at,
                "stage",
                remedy=f"use {STAGE_NAMES[before.stage]} or later",
            )
        if step.after_step is not None and step.after_step not in seen:
            raise lines.error(
                "after_step names no earlier step", *at, "after_step", remedy="name an earlier key"
            )
        seen.add(step.key)
