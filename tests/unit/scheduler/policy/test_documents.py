"""Ladders and packs as analysts write them: every mistake has its line, field and remedy."""

import pytest

from services.scheduler.policy.ladder import load_ladder
from services.scheduler.policy.packs import load_pack
from services.scheduler.policy.rulebook import PolicyError
from tests.unit.scheduler.policy.builders import SCHEDULER, shipped_pack

LADDER = """\
ladder: trial
version: 1
steps:
  - key: first
    offset_days: 1
    stage: reminder
    channels: [sms]
    templates: {sms: hello}
  - key: second
    offset_days: 5
    stage: notice
    channels: [sms]
    templates: {sms: hello}
"""

PACK = """\
pack: trial
version: 1
status: house
source: nobody
checked_on: 2026-11-21
effective_from: 2026-01-01
windows:
  mon-fri: ["08:00-20:00"]
  sat-sun: []
"""


def test_the_plain_forms_load() -> None:
    ladder = load_ladder(LADDER)
    assert [step.key for step in ladder.steps] == ["first", "second"]
    assert [step.stage for step in ladder.steps] == [0, 1]
    assert load_pack(PACK).windows is not None


@pytest.mark.parametrize("folder", ["ladders", "packs"])
def test_every_shipped_file_loads_under_its_own_name(folder: str) -> None:
    files = sorted((SCHEDULER / folder).glob("*.yaml"))
    assert files
    for file in files:
        load = load_ladder if folder == "ladders" else load_pack
        assert load(file.read_text()).id == file.stem


@pytest.mark.parametrize(
    ("before", "after", "line", "field"),
    [
        ("version: 1", "version: one", 2, "version"),
        ("version: 1", "version: 1\ncolour: red", 3, "colour"),
        ("    stage: notice", "    stage: shouting", 11, "steps.1.stage"),
        ("    stage: notice", "    stage: 9", 11, "steps.1.stage"),
        ("    stage: reminder", "    stage: judicial", 11, "steps.1.stage"),
        ("key: second", "key: first", 9, "steps.1.key"),
        ("key: second", "key: Second Step", 9, "steps.1.key"),
        ("offset_days: 5", "offset_days: -5", 10, "steps.1.offset_days"),
        ("offset_days: 5", "offset_days: 5.5", 10, "steps.1.offset_days"),
        ("offset_days: 5", "offset_days: 99999", 10, "steps.1.offset_days"),
        ("offset_days: 5", "mandatory: true\n    misfire: skip\n    offset_days: 5", 11, "misfire"),
        ("offset_days: 5", "after_step: third\n    offset_days: 5", 10, "steps.1.after_step"),
        ("    channels: [sms]\n", "    channels: []\n", 7, "steps.0.channels"),
        ("    channels: [sms]\n", "    channels: [fax]\n", 7, "steps.0.channels"),
        ("    channels: [sms]\n", "    channels: [sms, email]\n", 8, "steps.0.templates"),
        ("    channels: [sms]\n", "", 4, "steps.0"),
        ("    channels: [sms]\n", "    channels: [sms, sms]\n", 7, "steps.0.channels"),
        ("    channels: [sms]\n", "    channels: [handoff, sms]\n", 7, "steps.0.channels"),
        ("offset_days: 5", "fallback: {unread_days: 1}\n    offset_days: 5", 10, "fallback"),
        ("version: 1", "version: 1\nversion: 2", 3, "version"),
        ("ladder: trial", "ladder: &a trial\ntitle: *a", 2, "$"),
        ("ladder: trial", "ladder: [trial", 2, "$"),
        ("version: 1", "version: !!python/name:os.system x", 2, "version"),
        ("version: 1", "version: !secret x", 2, "version"),
        ("offset_days: 5", "offset_days: 2026-02-31", 10, "steps.1.offset_days"),
        ("offset_days: 5", "offset_days: !!timestamp soon", 10, "steps.1.offset_days"),
        ("version: 1", "version: 1\n<<: 3", 3, "<<"),
        ("version: 1", "version: 1\n? [a]\n: 2", 3, "?"),
        ("ladder: trial", "ladder: " + "[" * 50_000 + "]" * 50_000, 1, "$"),
    ],
)
def test_mistakes_in_ladders_name_line_field_and_remedy(
    before: str, after: str, line: int, field: str
) -> None:
    with pytest.raises(PolicyError) as caught:
        load_ladder(LADDER.replace(before, after, 1))
    assert caught.value.line == line
    assert field in caught.value.field
    assert caught.value.remedy


def test_a_ladder_without_steps_is_refused() -> None:
    with pytest.raises(PolicyError) as caught:
        load_ladder("ladder: trial\nversion: 1\nsteps: []\n")
    assert (caught.value.line, caught.value.field) == (3, "steps")


def test_email_alone_is_refused_for_old_debts() -> None:
    text = LADDER.replace("offset_days: 5", "offset_days: 45").replace(
        "    channels: [sms]\n    templates: {sms: hello}\n",
        "    channels: [email]\n    templates: {email: hello}\n",
    )
    with pytest.raises(PolicyError, match="e-mail alone"):
        load_ladder(text)


@pytest.mark.parametrize(
    ("before", "after", "field"),
    [
        ("08:00-20:00", "8-20", "windows.mon-fri"),
        ("08:00-20:00", "08:00-08:00", "windows.mon-fri"),
        ("08:00-20:00", "08:61-20:00", "windows.mon-fri"),
        ("sat-sun", "sat", "windows"),
        ("sat-sun", "fri-sun", "windows.fri-sun"),
        ("sat-sun", "sun-sat", "windows.sun-sat"),
        ("status: house", "status: rumour", "status"),
        ("pack: trial", "pack: trial\neffective_to: 2025-01-01", "effective_to"),
        ("pack: trial", "pack: trial\nconsent: {sms: maybe}", "consent.sms"),
        ("pack: trial", "pack: trial\nholidays: {country: ZZ}", "holidays.country"),
        (
            "pack: trial",
            "pack: trial\nholidays: {country: BR, optional_days: [Beer Day]}",
            "holidays.optional_days",
        ),
        ("pack: trial", "pack: trial\ncaps: [{key: a, channels: [sms], max: 0}]", "caps.0"),
        (
            "pack: trial",
            "pack: trial\ncaps: [{key: a, channels: [sms], max: 1, days: 99}]",
            "caps.0",
        ),
        ("checked_on: 2026-11-21", "checked_on: someday", "checked_on"),
    ],
)
def test_mistakes_in_packs_name_the_field(before: str, after: str, field: str) -> None:
    with pytest.raises(PolicyError) as caught:
        load_pack(PACK.replace(before, after, 1))
    assert caught.value.field == field


def test_oversized_documents_are_refused() -> None:
    with pytest.raises(PolicyError, match="too long"):
        load_ladder(LADDER + "#" * 300_000)


def test_shipped_values_are_those_of_the_sources() -> None:
    sao_paulo, federal = shipped_pack("br-sp"), shipped_pack("us-federal")
    assert sao_paulo.windows is not None
    assert [(w.open, w.close) for w in sao_paulo.windows[0]] == [(480, 1200)]
    assert [(w.open, w.close) for w in sao_paulo.windows[5]] == [(480, 840)]
    assert sao_paulo.windows[6] == ()
    assert federal.roles == ("third_party",)
    voice = next(cap for cap in federal.caps if "voice" in cap.channels)
    assert (voice.maximum, voice.days, voice.scope, voice.status) == (7, 7, "debt", "law")
    named, cautious = shipped_pack("us-ma").caps
    for cap in (named, cautious):
        assert (cap.maximum, cap.days, cap.scope) == (2, 7, "debt")
    assert (named.channels, named.status) == (("sms", "voice"), "law")
    assert (cautious.channels, cautious.status) == (("sms", "voice", "whatsapp"), "house")
    assert shipped_pack("us-tcpa").consent == {"sms": "granted"}


@pytest.mark.parametrize(
    ("fallback", "field"),
    [
        ("{}", "steps.0.fallback"),
        ("{undelivered_days: 31}", "steps.0.fallback.undelivered_days"),
        ("{unread_days: -1}", "steps.0.fallback.unread_days"),
        ("{undelivered_days: 3, unanswered_days: 2}", "steps.0.fallback"),
        ("{sometimes: 1}", "steps.0.fallback.sometimes"),
    ],
)
def test_a_fallback_that_makes_no_sense_is_refused(fallback: str, field: str) -> None:
    text = LADDER.replace(
        "    channels: [sms]\n    templates: {sms: hello}\n",
        "    channels: [sms, whatsapp]\n    templates: {sms: hello, whatsapp: oi}\n"
        f"    fallback: {fallback}\n",
        1,
    )
    with pytest.raises(PolicyError) as refused:
        load_ladder(text)
    assert refused.value.field == field
    assert refused.value.line == 9


def test_email_carries_no_offers() -> None:
    text = LADDER.replace("[sms]", "[email]").replace("{sms: hello}", "{email: hello}", 2)
    assert load_ladder(text).steps[0].channels == ("email",)
    with pytest.raises(PolicyError) as refused:
        load_ladder(
            text.replace("stage: reminder", "stage: reminder\n    content_class: marketing")
        )
    assert refused.value.field == "steps.0.content_class"
