"""Names of attempts that travel outside: sealed, of one account, and never guessed."""

from datetime import UTC, date, datetime
from uuid import UUID, uuid4

import pytest

from shared.events import identities
from shared.sender.attempts import Attempt, Frame
from shared.sender.callbacks import Callback, Callbacks

CALLBACKS = Callbacks("https://mail.example/", b"k" * 32)


def an_attempt(n: int = 20) -> Attempt:
    contact_id = uuid4()
    return Attempt(
        attempt_id=identities.attempt_id(contact_id, n),
        contact_id=contact_id,
        n=n,
        ends_on=date(2026, 11, 22),
        debtor_id=uuid4(),
        tenant_id="acme/1",
        account_id="mail 1",
        provider="smtp",
        frame=Frame(
            portfolio_id="p", channel="email", step_key="s", stage=1, template="", items=()
        ),
        not_after=datetime(2026, 11, 22, 20, tzinfo=UTC),
    )


def token_of(attempt: Attempt) -> str:
    url = CALLBACKS.unsubscribe_url(attempt)
    assert url.startswith("https://mail.example/unsubscribe/acme%2F1/mail%201/")
    return url.rpartition("/")[2]


def test_an_unsubscribe_url_names_attempt_and_debtor() -> None:
    attempt = an_attempt()
    token = token_of(attempt)
    named = ("acme/1", "mail 1", token)
    assert CALLBACKS.read_reference(*named) == Callback(
        contact_id=attempt.contact_id, n=20, ends_on=attempt.ends_on
    )
    assert CALLBACKS.debtor_in(*named) == attempt.debtor_id


@pytest.mark.parametrize(
    ("tenant_id", "account_id"), [("other", "mail 1"), ("acme/1", "other"), ("acme/1mail 1", "")]
)
def test_a_reference_counts_for_its_own_account_alone(tenant_id: str, account_id: str) -> None:
    token = token_of(an_attempt())
    assert CALLBACKS.read_reference(tenant_id, account_id, token) is None
    assert CALLBACKS.debtor_in(tenant_id, account_id, token) is None


def test_another_debtor_cannot_be_put_in() -> None:
    attempt = an_attempt()
    token = token_of(attempt).replace(attempt.debtor_id.hex, UUID(int=1).hex)
    assert CALLBACKS.debtor_in("acme/1", "mail 1", token) is None


@pytest.mark.parametrize("text", ["", "-", "a-b-c-d", "x" * 1_000, "a-b-c-d-e-f", "é-1-2-3"])
def test_strangers_words_name_nothing(text: str) -> None:
    assert CALLBACKS.read_reference("acme/1", "mail 1", text) is None
    assert CALLBACKS.debtor_in("acme/1", "mail 1", text) is None
