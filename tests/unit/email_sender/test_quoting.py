"""Replies as mail programs write them: only what the person wrote is read."""

import time
from email.message import EmailMessage

import pytest

from services.email_sender.markup import shown
from services.email_sender.quoting import TEXT_CHARS_MAX, new_text, written

OURS = "> Responda SAIR para parar.\n> Reply STOP to opt out."
REPLIES = {
    "bare": "Já paguei",
    "gmail": f"Já paguei\n\nEm dom., 22 de nov. de 2026, Loja <a@b.example> escreveu:\n{OURS}",
    "gmail, broken line": (
        "Já paguei\n\nEm dom., 22 de nov. de 2026 às 10:00, Casa Aurora Comércio Ltda\n"
        f"<cobranca@acme.example> escreveu:\n\n{OURS}"
    ),
    "apple": f"Já paguei\n\nOn 22 Nov 2026, at 10:00, Loja <a@b.example> wrote:\n\n{OURS}",
    "spanish": f"Já paguei\n\nEl dom, 22 nov 2026 a las 10:00, Loja escribió:\n{OURS}",
    "outlook": (
        "Já paguei\n\n________________________________\nDe: Loja\nEnviado: domingo\n"
        "Assunto: x\n\nResponda SAIR para parar."
    ),
    "outlook, no line": (
        "Já paguei\n\nFrom: Loja <a@b.example>\nSent: Sunday\nTo: Ana\nSubject: x\n\nReply STOP"
    ),
    "old outlook": "Já paguei\n\n-----Mensagem original-----\nResponda SAIR para parar.",
    "three lines": (
        "Já paguei\n\nEm domingo, 22 de novembro de 2026 às 10:00:00 BRT, Casa Aurora\n"
        "Comércio e Indústria de Móveis Ltda, por meio de sua cobrança\n"
        f"<cobranca@acme.example> escreveu:\n{OURS}"
    ),
    "three lines, unmarked": (
        "Já paguei\n\nOn Sunday, 22 November 2026 at 10:00:00 BRT, Casa Aurora\n"
        "Comércio e Indústria de Móveis Ltda\n<a@b.example> wrote:\n\nReply STOP to opt out."
    ),
    "gmail, Portugal": (
        "Já paguei\n\nLoja <a@b.example> escreveu no dia domingo, 22/11/2026 à(s) 10:00:\n"
        "Responda SAIR para parar."
    ),
    "gmail, Portugal, broken line": (
        "Já paguei\n\nCasa Aurora Comércio Ltda\n<a@b.example> escreveu no dia domingo,\n"
        f"22/11/2026 à(s) 10:00:\n\n{OURS}"
    ),
    "proton": "Já paguei\n\nSent with [Proton Mail](https://proton.me/mail/home) secure email.",
    "proton, Portuguese": "Já paguei\n\nEnviado com o Proton Mail.",
    "outlook on a phone": "Já paguei\n\nBaixe o Outlook para iOS<https://aka.ms/o0ukef>",
    "signature": "Já paguei\n-- \nAna Souza\nGerente, Pare & Siga Ltda",
    "phone": "Já paguei\n\nEnviado do meu iPhone",
    "below": f"{OURS}\n\nJá paguei",
    "below an introduction": f"Em dom., 22 nov, Loja <a@b> escreveu:\n\n{OURS}\n\nJá paguei",
    "below a broken one": (
        "On Sun, 22 Nov 2026, Casa Aurora Comércio Ltda\n<a@b.example> wrote:\n"
        + OURS
        + "\nJá paguei"
    ),
    "date first": (
        'Já paguei\n\n22/11/2026 10:00, "Loja" <a@b.example> escreveu:\nResponda SAIR para parar.'
    ),
    "by words": "Já paguei\nyou wrote: reply STOP to stop receiving messages",
    "by our words": (
        "Já paguei\n\nPara não receber mais e-mails sobre este assunto: https://x.example/u/1"
    ),
}


@pytest.mark.parametrize("text", REPLIES.values(), ids=REPLIES)
def test_quotations_are_left_out(text: str) -> None:
    assert new_text(text) == "Já paguei"


@pytest.mark.parametrize(
    "text",
    [
        "Em breve pago tudo, prometo.\nAbraço",
        "De: nada\nsó isso",
        "On Monday I will pay:\n100 dollars",
        "A loja escreveu errado o valor",
        "Meu advogado escreveu:\nparem",
        "Enviado com sucesso o comprovante, parem",
        "Baixe o valor e eu pago",
        "Meu contato: Ana <a@b.example>\nescreveu no dia",
    ],
)
def test_what_only_looks_like_a_quotation_stays(text: str) -> None:
    assert new_text(text) == text


@pytest.mark.parametrize(
    "attribution",
    [
        "Em dom., 22 de nov. de 2026, Loja <a@b.example> escreveu:",
        "Em dom., 22 de nov. de 2026, Casa Aurora\nComércio Ltda\n<a@b.example> escreveu:",
        "Loja <a@b.example> escreveu no dia domingo, 22/11/2026 à(s) 10:00:",
        "Sent with Proton Mail secure email.",
        "Baixe o Outlook para Android",
    ],
)
@pytest.mark.parametrize("greeting", ["", "Em nome de todos\n", "A quem interessar\n\n"])
def test_a_wish_above_a_quotation_is_heard(attribution: str, greeting: str) -> None:
    text = new_text(f"{greeting}SAIR\n{attribution}\n\n{OURS}")
    assert text == f"{greeting}SAIR"


def test_html_alone_is_read_without_its_quotation() -> None:
    markup = (
        "<html><head><style>p{}</style><title>x</title></head><body><div>J&aacute; <b>paguei</b>"
        "</div><div class='gmail_quote'>Em dom. escreveu:<blockquote>SAIR</blockquote></div>"
        "<script>STOP</script></body></html>"
    )
    assert new_text(shown(markup)) == "Já paguei"


@pytest.mark.parametrize(
    "markup",
    [
        "<p>Em 22/11/2026, Loja escreveu:</p><blockquote>x</blockquote><p>SAIR</p>",
        "<!-- <p>Oi</p> --><p>SAIR</p><!-- never closed <p>Oi",
        "<![if !vml]><div title=1/>SAIR<?xml:namespace x?></div><![endif]>",
        "<style>p > a {}</style><STYLE>x</STYLE>S<b>AI</b>R",
        "SAIR<div class=gmail_quote>Oi",
        '<p>SAIR</p><img alt="Loja -> A" src=x>',
        "<p>SAIR</p><img alt='Loja \" -> A' src=x>",
        '<p title=">">SAIR</p><img alt="never closed>',
        "<p>SAIR</p><img alt=d'Ana>",
        "<!--[if !mso]><!--><p>SAIR</p><!--<![endif]-->",
        "<!--[if mso]><p>Oi</p><![endif]--><p>SAIR</p>",
        "<!--><p>SAIR",
        "<!---><p>SAIR",
        "<!-- Oi <!-- Oi --!><p>SAIR",
    ],
)
def test_what_html_shows(markup: str) -> None:
    assert new_text(shown(markup)) == "SAIR"


@pytest.mark.parametrize(
    ("subject", "body", "expected"),
    [
        ("Re: Lembrete", "ok", "ok"),
        ("RES: Lembrete", "ok", "ok"),
        ("Já paguei", "segue o comprovante", "Já paguei\nsegue o comprovante"),
        ("SAIR", "", "SAIR"),
        ("SAIR", "obrigada, Ana Souza, Rua das Flores 10", "SAIR"),
        ("Bom dia", "STOP", "STOP"),
        ("", "x" * 10_000, "x" * TEXT_CHARS_MAX),
    ],
)
def test_the_subject_counts_when_it_is_the_persons_own(
    subject: str, body: str, expected: str
) -> None:
    message = EmailMessage()
    message.set_content(body)
    assert written(message, subject) == expected


def test_attachments_are_not_opened() -> None:
    message = EmailMessage()
    message.add_attachment(b"STOP", maintype="text", subtype="plain", filename="a.txt")
    assert written(message, "Re: x") == ""


HOSTILE = {
    "attributions": "On " * 30_000,
    "attributions below each other": "On 1/1\na wrote:x\n@\n" * 6_000,
    "attributions of a wish": "On 1/1\nSTOP\na wrote:\n" * 5_000,
    "writers": "a <a@b> wrote on\n<a@b> escreveu em : : : : :\n" * 2_500,
    "headers": "From: x\n" * 20_000,
    "underscores": "_" * 100_000,
    "open elements": "<div>" * 30_000,
    "closed elements": "</b>" * 30_000,
    "beginnings of elements": "<a " * 30_000,
    "beginnings of comments": "<!--" * 30_000,
    "beginnings of ends": "</a" * 30_000,
    "beginnings of declarations": "<!a<![a<?" * 10_000,
    "attributes": "<a " + "class=" * 16_000 + ">",
    "quotes": "<a " + "\"'" * 50_000,
    "quotes never closed": '<a "' * 25_000 + "<a '" * 25_000,
    "quotes in pairs": "<a " + "\"x\"'y'" * 15_000,
    "quotes and ends": "<a \">'" * 16_000,
    "one quote": '<a "' + "x" * 100_000,
    "one name": "<" + "a" * 100_000,
    "empty comments": "<!--><!--->" * 9_000,
    "classes": "<a class='gmail_quot'>" * 4_000,
    "nested quotes": "<blockquote>" * 20_000 + "</blockquote>" * 20_000,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_no_mail_takes_long(text: str) -> None:
    began = time.process_time()
    new_text(shown(text))
    new_text(text)
    assert time.process_time() - began < 2.0
