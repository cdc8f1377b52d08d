"""What the sample says: one template per tone and channel, in three languages.

In: a template's id, its channel, the ladder's step. Out: bodies for `PUT /v1/config/template/{id}`.
SMS and WhatsApp say the same words; WhatsApp's are the approved template's, with parameters and
buttons; e-mail adds a neutral subject and HTML, and leaves the opt-out line to its own link.
"""

import html
import re
from collections.abc import Mapping, Sequence
from typing import Any

# The stages that ladders name, mildest first: a debt's stage is an index into them.
STAGES = ("reminder", "notice", "extrajudicial", "bureau", "judicial")
TEXTS: Mapping[str, Mapping[str, str]] = {
    "before": {
        "pt-BR": "Olá {first_name}, aqui é {creditor_name}. Seu pagamento de {amount} vence em "
        "{due_date}. {opt_out}",
        "en-US": "Hello {first_name}, this is {creditor_name}. Your payment of {amount} is due "
        "{due_date}. {opt_out}",
        "es": "Hola {first_name}, le escribe {creditor_name}. Su pago de {amount} vence el "
        "{due_date}. {opt_out}",
    },
    "reminder": {
        "pt-BR": "{first_name}, ainda não localizamos o pagamento de {amount}, vencido em "
        "{due_date}. Responda com o dia em que pode pagar. {creditor_name}. {opt_out}",
        "en-US": "{first_name}, we have not found your payment of {amount}, due {due_date}. Reply "
        "with the day you can pay. {creditor_name}, a debt collector. {opt_out}",
        "es": "{first_name}, aún no encontramos su pago de {amount}, vencido el {due_date}. "
        "Responda con el día en que puede pagar. {creditor_name}, cobrador de deudas. {opt_out}",
    },
    "validation": {
        "pt-BR": "{first_name}, {creditor_name} cobra {amount}, vencido em {due_date}. Para "
        "contestar ou conferir: {creditor_contact}. {opt_out}",
        "en-US": "{first_name}, this is {creditor_name}, a debt collector. You owe {amount}, due "
        "{due_date}. To dispute it or see the details: {creditor_contact}. {opt_out}",
        "es": "{first_name}, somos {creditor_name}, cobrador de deudas. Debe {amount}, vencido el "
        "{due_date}. Para disputarlo o ver los detalles: {creditor_contact}. {opt_out}",
    },
    "notice": {
        "pt-BR": "{first_name}, seu débito de {amount} com {creditor_name} está há {days_past_due} "
        "dias em aberto. Negocie em {creditor_contact} ou responda esta mensagem. {opt_out}",
        "en-US": "{first_name}, your debt of {amount} with {creditor_name} is {days_past_due} days "
        "past due. Options: {creditor_contact} or reply here. From a debt collector. {opt_out}",
        "es": "{first_name}, su deuda de {amount} con {creditor_name} lleva {days_past_due} días "
        "vencida. Opciones: {creditor_contact} o responda aquí. De un cobrador. {opt_out}",
    },
    "formal": {
        "pt-BR": "Aviso a {first_name}: {amount} devidos a {creditor_name} desde {due_date}. Sem "
        "acordo, seguem as etapas previstas em contrato. {creditor_contact} {opt_out}",
        "en-US": "Notice to {first_name}: {amount} owed to {creditor_name} since {due_date}. "
        "Options remain open: {creditor_contact}. From a debt collector. {opt_out}",
        "es": "Aviso a {first_name}: {amount} adeudados a {creditor_name} desde {due_date}. "
        "Quedan opciones: {creditor_contact}. De un cobrador de deudas. {opt_out}",
    },
}

SUBJECTS = {
    "pt-BR": "Mensagem de {creditor_name}",
    "en-US": "A message from {creditor_name}",
    "es": "Un mensaje de {creditor_name}",
}
BUTTONS: Mapping[str, Mapping[str, str]] = {
    "promise": {"pt-BR": "Prometer pagamento", "en-US": "Promise to pay", "es": "Prometer pago"},
    "human": {"pt-BR": "Falar com alguém", "en-US": "Talk to a person", "es": "Hablar con alguien"},
    "opt_out": {"pt-BR": "Parar mensagens", "en-US": "Stop messages", "es": "No más mensajes"},
}
ASKING = ("notice",)  # tones that ask for an answer
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")


def template(template_id: str, channel: str, step: Mapping[str, Any]) -> dict[str, Any]:
    """Return the template that a ladder's step names for a channel."""
    tone = _tone(template_id, step)
    body: dict[str, Any] = {
        "channel": channel,
        "content_class": step.get("content_class", "utility"),
        "texts": dict(TEXTS[tone]),
        "tone": "neutral",
    }
    if channel == "email":
        body["texts"] = {locale: _mail(text) for locale, text in TEXTS[tone].items()}
        body["subjects"] = dict(SUBJECTS)
        body["html"] = {locale: _markup(text) for locale, text in body["texts"].items()}
    elif channel == "whatsapp":
        body["provider_name"] = provider_name(template_id)
        body["provider_locales"] = {locale: locale.replace("-", "_") for locale in TEXTS[tone]}
        body["parameters"] = parameters(TEXTS[tone])
        if tone in ASKING:
            body["buttons"] = [
                {"kind": kind, "titles": dict(titles)} for kind, titles in BUTTONS.items()
            ]
    return body


def provider_name(template_id: str) -> str:
    """Return the name under which the provider approved a WhatsApp template."""
    return template_id.removesuffix("-whatsapp").replace("-", "_")


def approved(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a WhatsApp template as its provider approved it: one per language, by position."""
    positions = {name: str(at) for at, name in enumerate(body["parameters"], start=1)}
    return [
        {
            "name": body["provider_name"],
            "language": body["provider_locales"][locale],
            "body": _PLACEHOLDER.sub(lambda found: f"{{{{{positions[found[1]]}}}}}", text),
            "category": body["content_class"].upper(),
            "buttons": [button["titles"][locale] for button in body.get("buttons", ())],
        }
        for locale, text in body["texts"].items()
    ]


def parameters(texts: Mapping[str, str]) -> Sequence[str]:
    """Return the placeholders of a template in the order of its first text."""
    return list(dict.fromkeys(_PLACEHOLDER.findall(next(iter(texts.values())))))


def stage_of(step: Mapping[str, Any]) -> int:
    """Return the number of the stage that a step names."""
    return STAGES.index(step["stage"])


def _tone(template_id: str, step: Mapping[str, Any]) -> str:
    if "validation" in template_id:
        return "validation"
    if step["offset_days"] < 0:
        return "before"
    return ("reminder", "notice", "formal")[min(stage_of(step), 2)]


def _mail(text: str) -> str:
    return text.replace("{opt_out}", "").strip()


def _markup(text: str) -> str:
    return f"<p>{html.escape(text, quote=False)}</p>"
