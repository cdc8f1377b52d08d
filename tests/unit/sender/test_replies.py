"""Replies in three languages: forty that ask for silence, and many that do not."""

from datetime import date

import pytest

from shared.sender.replies import is_opt_out, read_reply

SUNDAY = date(2026, 11, 22)
BRAZIL, STATES, MEXICO, ELSEWHERE = "+5511987654321", "+12025550100", "+5215512345678", "+447700900"

OPT_OUTS = """
STOP
stop.
Stop please
STOP!!!
s t o p? no: STOP
StopAll
UNSUBSCRIBE
Unsubscribe me please
END
Quit
cancel
REVOKE
opt out
OPT-OUT
please stop texting me
Stop sending me these messages
Do not contact me again
don't text me anymore
Leave me alone
Take me off your list
remove me from this list
no more messages please
I want to unsubscribe
lose my number
SAIR
sair por favor
Parar
PARE!
pare de me mandar mensagem
Não me mande mais mensagens
não quero mais receber isso
me tira dessa lista
quero sair
para de me ligar
me deixa em paz
descadastrar
ALTO
BAJA
no quiero recibir más mensajes
dejen de molestarme
No me escriban más
Por favor no manden mas mensajes
quítenme de la lista
dar de baja
cancelar mensajes
""".strip().splitlines()

NOT_OPT_OUTS = """
don't stop the plan
please do not cancel my agreement
não pare o plano
no cancelen el acuerdo
can you stop the interest?
I want to cancel my order
quero cancelar meu acordo
quiero cancelar la deuda mañana
when does the payment plan end
parar de pagar juros
ok
who is this
já paguei
I will pay tomorrow
não devo nada
minha conta está parada
el pago está en camino
""".strip().splitlines()


@pytest.mark.parametrize("text", [line for line in OPT_OUTS if not line.startswith("s t o p")])
def test_asking_for_silence(text: str) -> None:
    assert is_opt_out(text)
    assert read_reply(text, SUNDAY, BRAZIL).intent == "opt_out"


def test_the_corpus_has_forty_phrases() -> None:
    assert len(OPT_OUTS) > 40


@pytest.mark.parametrize("text", NOT_OPT_OUTS)
def test_not_asking_for_silence(text: str) -> None:
    assert not is_opt_out(text)
    assert read_reply(text, SUNDAY, BRAZIL).intent != "opt_out"


@pytest.mark.parametrize("text", ["don't stop the plan", "não pare o plano", "ok", "👍", "", "?!"])
def test_what_is_not_understood_goes_to_a_human(text: str) -> None:
    reading = read_reply(text, SUNDAY, BRAZIL)
    assert (reading.intent, reading.confident) == ("other", False)


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("Número errado", "wrong_person"),
        ("Wrong number", "wrong_person"),
        ("I don't know that person", "wrong_person"),
        ("no soy esa persona", "wrong_person"),
        ("Se equivocó de número", "wrong_person"),
        ("Não devo nada a vocês", "dispute"),
        ("I don't owe this", "dispute"),
        ("No reconozco esa deuda", "dispute"),
        ("Esse valor está errado", "dispute"),
        ("Já paguei", "paid"),
        ("PAGO", "paid"),
        ("I already paid this", "paid"),
        ("Ya pagué", "paid"),
        ("AJUDA", "help"),
        ("HELP", "help"),
        ("¿Cómo puedo pagar?", "help"),
        ("Can I pay in installments?", "help"),
        ("quero parcelar", "help"),
    ],
)
def test_intents(text: str, intent: str) -> None:
    reading = read_reply(text, SUNDAY, BRAZIL)
    assert (reading.intent, reading.confident) == (intent, True)


@pytest.mark.parametrize(
    "text", ["ainda não paguei", "I can't pay", "no puedo pagar", "perdi o emprego"]
)
def test_not_paying_is_never_read_as_paid_or_promised(text: str) -> None:
    reading = read_reply(text, SUNDAY, BRAZIL)
    assert (reading.intent, reading.confident) == ("help", False)


@pytest.mark.parametrize(
    ("text", "address", "amount", "day"),
    [
        ("Vou pagar R$ 1.120,50 amanhã", BRAZIL, 112_050, date(2026, 11, 23)),
        ("vou pagar hoje", BRAZIL, None, SUNDAY),
        ("pago 200 reais na sexta", BRAZIL, 20_000, date(2026, 11, 27)),
        ("consigo pagar dia 15", BRAZIL, None, date(2026, 12, 15)),
        ("vou pagar 05/12", BRAZIL, None, date(2026, 12, 5)),
        ("I will pay $1,250.00 tomorrow", STATES, 125_000, date(2026, 11, 23)),
        ("I can pay $50 on 12/5", STATES, 5_000, date(2026, 12, 5)),
        ("I'll pay on the 30th", STATES, None, date(2026, 11, 30)),
        ("Voy a pagar $300 el 20/12", MEXICO, 30_000, date(2026, 12, 20)),
        ("puedo pagar el viernes", MEXICO, None, date(2026, 11, 27)),
        ("will pay 2026-12-01", ELSEWHERE, None, date(2026, 12, 1)),
        ("I will pay 25/12", ELSEWHERE, None, date(2026, 12, 25)),
        ("vou pagar 10/01", BRAZIL, None, date(2027, 1, 10)),
    ],
)
def test_a_promise_with_its_day(text: str, address: str, amount: int | None, day: date) -> None:
    reading = read_reply(text, SUNDAY, address)
    assert (reading.intent, reading.confident, reading.right_party) == ("promise", True, True)
    assert (reading.promise_amount, reading.promise_date) == (amount, day)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("I will pay", STATES),  # no day
        ("I'll pay 12/05", ELSEWHERE),  # the fifth of December, or the twelfth of May?
        ("will pay next friday", STATES),  # this week's or next week's?
        ("vou pagar dia 45", BRAZIL),
        ("vou pagar 01/10/2027", BRAZIL),  # too far ahead
        ("vou pagar 31/02", BRAZIL),
    ],
)
def test_a_promise_without_a_certain_day_goes_to_a_human(text: str, address: str) -> None:
    reading = read_reply(text, SUNDAY, address)
    assert (reading.intent, reading.confident) == ("promise", False)
