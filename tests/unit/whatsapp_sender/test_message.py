"""Messages: approved templates take exactly their parameters; free text and buttons have bounds."""

from typing import Any

import pytest

from services.whatsapp_sender.message import Approved, ReplyButton, compose
from shared.events.configuration import Button, Template
from shared.sender.errors import RenderError
from tests.support.contacts import a_task

TEXT = "Olá {name}, sua fatura de {amount} venceu."


def a_template(**changes: Any) -> Template:
    fields: dict[str, Any] = {
        "channel": "whatsapp",
        "content_class": "utility",
        "texts": {"pt-BR": TEXT},
        "provider_name": "payment_reminder",
        "provider_locales": {"pt-BR": "pt_BR"},
        "parameters": ("name", "amount"),
    }
    return Template(**(fields | changes))


def free_text(text: str = TEXT, **changes: Any) -> Template:
    return a_template(
        texts={"pt-BR": text}, provider_name=None, parameters=(), provider_locales={}, **changes
    )


def test_an_approved_template_takes_its_parameters_in_order() -> None:
    message = compose(a_task(), a_template(parameters=("amount", "name")))
    assert message.approved == Approved(
        name="payment_reminder", language="pt_BR", parameters=("R$ 120,00", "Maria")
    )
    assert message.text == "Olá Maria, sua fatura de R$ 120,00 venceu."
    assert (message.to, message.segments) == ("+5511987654321", 1)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"parameters": ("name",)}, "lacks the placeholder amount"),
        ({"parameters": ("name", "amount", "due_date")}, "names due_date"),
        ({"parameters": ("name", "amount", "name")}, "twice"),
        ({"provider_name": "Payment Reminder"}, "provider_name"),
        ({"provider_locales": {"en-US": "en_US"}}, "provider_locales"),
        ({"provider_locales": {}}, "provider_locales"),
        ({"texts": {"en-US": TEXT}}, "no text"),
    ],
)
def test_a_template_that_does_not_fit_itself_is_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(RenderError, match=says):
        compose(a_task(), a_template(**changes))


def test_a_missing_value_is_named() -> None:
    with pytest.raises(RenderError, match="amount"):
        compose(a_task(values={"name": "Maria"}), a_template())


@pytest.mark.parametrize("value", ["", "   ", "a\nb", "a\tb", "a     b", "x" * 1_025])
def test_a_value_that_the_provider_would_refuse_is_refused_here(value: str) -> None:
    with pytest.raises(RenderError) as caught:
        compose(a_task(values={"name": value, "amount": "R$ 120,00"}), a_template())
    assert "x" * 10 not in str(caught.value)


@pytest.mark.parametrize("address", ["+5511987654321", "BR.13491208655302741918", "US.ENT.11815"])
def test_people_are_written_to_by_number_or_user_id(address: str) -> None:
    assert compose(a_task(address=address), a_template()).to == address


@pytest.mark.parametrize("address", ["11987654321", "maria@example.com", "BR.", "br.123", ""])
def test_other_addresses_are_refused(address: str) -> None:
    with pytest.raises(RenderError, match="address"):
        compose(a_task(address=address), a_template())


def test_free_text_is_what_names_no_template() -> None:
    assert compose(a_task(), free_text()).approved is None


@pytest.mark.parametrize(
    ("length", "buttons", "fits"),
    [(4_096, False, True), (4_097, False, False), (1_025, True, False)],
)
def test_free_text_has_bounds(length: int, *, buttons: bool, fits: bool) -> None:
    offered = (Button(kind="pay", titles={"pt": "Pagar"}),) if buttons else ()
    template = free_text("x" * length, buttons=offered)
    if fits:
        assert len(compose(a_task(), template).text) == length
        return
    with pytest.raises(RenderError, match="characters"):
        compose(a_task(), template)


def test_buttons_are_titled_in_the_persons_language() -> None:
    buttons = (
        Button(kind="promise", titles={"pt-BR": "Prometo pagar", "en-US": "Promise"}),
        Button(kind="human", titles={"pt": "Falar com pessoa"}),
    )
    message = compose(a_task(), a_template(buttons=buttons))
    assert message.buttons == (
        ReplyButton(kind="promise", title="Prometo pagar"),
        ReplyButton(kind="human", title="Falar com pessoa"),
    )


@pytest.mark.parametrize(
    "buttons",
    [
        tuple(Button(kind="pay", titles={"pt": "Pagar"}) for _ in range(4)),
        (Button(kind="pay", titles={"pt": "x" * 21}),),
        (Button(kind="pay", titles={"pt": " "}),),
        (Button(kind="pay", titles={"en": "Pay"}),),
    ],
)
def test_buttons_that_the_provider_would_refuse(buttons: tuple[Button, ...]) -> None:
    with pytest.raises(RenderError, match=r"button"):
        compose(a_task(), a_template(buttons=buttons))
