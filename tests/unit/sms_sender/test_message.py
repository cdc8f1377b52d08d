"""Texts: placeholders filled strictly, segments counted as carriers count them."""

import pytest

from deploy.sandbox.segments import segments as sandbox_segments
from services.sms_sender.message import compose, segments_of
from shared.events.configuration import Template
from shared.sender.errors import RenderError
from shared.sender.rendering import render, text_for
from tests.support.contacts import a_task


@pytest.mark.parametrize(
    ("text", "segments"),
    [
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("€" * 80, 1),  # extended characters take two septets
        ("€" * 81, 2),
        ("a" * 152 + "€" + "a" * 152, 3),  # and are never split over two segments
        ("é" * 160, 1),  # in the GSM alphabet
        ("ã" * 70, 1),  # not in it
        ("ã" * 71, 2),
        ("ã" * 134, 2),
        ("ã" * 135, 3),
        ("👍" * 35, 1),
        ("👍" * 36, 2),
        ("", 1),
    ],
)
def test_segments(text: str, segments: int) -> None:
    assert segments_of(text) == segments


# Counted by Twilio's published calculator (sms-segments-calculator), which shares no code with us.
COUNTED_ELSEWHERE = (
    ("Ж" * 70, 1),
    ("Ж" * 71, 2),
    ("Ж" * 134, 2),
    ("Ж" * 135, 3),
    ("你好" * 33 + "你", 1),
    ("你好" * 67, 2),
    ("你好" * 67 + "你", 3),
    ("سداد" * 17 + "سد", 1),
    ("ऋण" * 36, 2),
    ("ã" * 66 + "👍" + "ã" * 3, 2),
    ("ã" * 66 + "👍" + "ã" * 66 + "x", 3),
    ("ã" * 66 + "👍" + "ã" * 64 + "👍" + "x", 3),
    ("👨‍👩‍👧" * 8, 1),
    ("👨‍👩‍👧" * 9, 2),
    ("🇧🇷" * 17, 1),
    ("🇧🇷" * 18, 2),
    ("e\u0301" * 35, 1),
    ("e\u0301" * 36, 2),
    ("a" * 152 + "€" + "a" * 152, 3),
    ("ΔΦΓΛΩΠΨΣΘΞ" * 16, 1),  # Greek capitals are in the GSM alphabet
    ("δ" * 71, 2),  # small ones are not
    ("a" * 70 + "—", 2),
    ("\f" * 80, 1),
    ("ç" * 71, 2),
    ("Ç" * 160, 1),
    ("Olá João, sua dívida de R$ 1.234,56 — pague até amanhã 👍", 1),
)


@pytest.mark.parametrize(("text", "segments"), COUNTED_ELSEWHERE)
def test_segments_of_any_script_are_counted_as_elsewhere(text: str, segments: int) -> None:
    assert segments_of(text) == segments
    assert sandbox_segments(text) == segments  # the provider bills what we count


def test_placeholders_are_filled_and_values_are_only_text() -> None:
    values = {"name": "{amount} {{x}} %s", "amount": "R$ 1"}
    assert render("Olá {name}: {amount} {{sic}}", values) == "Olá {amount} {{x}} %s: R$ 1 {sic}"


@pytest.mark.parametrize(
    "text", ["{missing}", "{", "}", "{name!r}", "{name.__class__}", "{0}", "{}"]
)
def test_anything_else_in_braces_is_refused(text: str) -> None:
    with pytest.raises(RenderError) as caught:
        render(text, {"name": "Maria"})
    assert "Maria" not in str(caught.value)


def a_template(text: str) -> Template:
    return Template(channel="sms", content_class="utility", texts={"pt-BR": text})


def test_the_locale_then_its_language_decide_the_text() -> None:
    template = Template(
        channel="sms", content_class="utility", texts={"pt-BR": "br", "pt-PT": "pt", "en": "en"}
    )
    assert text_for(template, "pt_PT") == "pt"
    assert text_for(template, "pt-AO") == "br"
    assert text_for(template, "en-US") == "en"
    with pytest.raises(RenderError, match="no text for the language es"):
        text_for(template, "es-MX")


@pytest.mark.parametrize("address", ["11987654321", "+0", "+55 11 98765", "", "+5511987654321x"])
def test_an_address_that_is_no_phone_is_refused_without_naming_it(address: str) -> None:
    with pytest.raises(RenderError) as caught:
        compose(a_task(address=address), a_template("text"))
    assert not address or address not in str(caught.value)


@pytest.mark.parametrize("text", ["  ", "a" * 1_601])
def test_empty_and_endless_texts_are_refused(text: str) -> None:
    with pytest.raises(RenderError):
        compose(a_task(), a_template(text))
