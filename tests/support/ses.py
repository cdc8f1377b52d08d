"""An e-mail sender at work over Amazon SES: real Kafka and PostgreSQL, SES in the sandbox.

In: a database, a broker, topics of one's own, a sandbox. Out: `SesStage`, which dispatches mails
and lets the sandbox's topic speak to the running sender.
"""

from typing import Any
from uuid import uuid4

from deploy.local.databases import Database
from services.email_sender.channel import EMAIL
from services.email_sender.settings import EmailSenderSettings
from shared.events import identities
from shared.events.configuration import ApiKey, Template
from shared.events.contact import ContactTask, Item
from shared.events.hold import subject_of
from shared.http.auth import digest_of
from shared.privacy import address_subject, key_bytes
from shared.sender.callbacks import webhook_path
from tests.support.contacts import ADDRESS_KEY, TEMPLATE, TENANT, a_task
from tests.support.sandbox import Sandbox
from tests.support.sending import API_KEY, Stage
from tests.support.ses_account import KEY_ID, configured, registration

ACCOUNT = "acme-email"


class SesStage(Stage):
    """Everything around one e-mail sender; `sandbox` is its provider."""

    channel = EMAIL
    settings_class = EmailSenderSettings

    def __init__(self, database: Database, bootstrap: str, suffix: str, sandbox: Sandbox) -> None:
        super().__init__(database, bootstrap, suffix)
        self.sandbox = sandbox

    async def configure(self, **_: Any) -> None:
        account = configured(
            self.sandbox.url,
            rate_per_second=5_000.0,
            credentials={
                "access_key_id": "env:TEST_SES_KEY_ID",
                "secret_access_key": "env:TEST_SES_SECRET",
            },
        )
        key = ApiKey(sha256=digest_of(API_KEY), scopes=("operator",), label="test")
        await self.store("account", ACCOUNT, account)
        await self.store("api_key", "k", key)
        await self.store("template", TEMPLATE, a_mail_template())

    def environment(self, port: int) -> dict[str, str]:
        return super().environment(port) | {
            "POSTGRES_URL": self.database.url("email_sender"),
            "PROVIDER_SECRETS": "env:TEST_SES_*",
            "MAIL_PORT": "0",
        }

    def subscribe(self, *, confirmed: bool = True) -> None:
        """Register the account at the sandbox, with the running sender as its topic's endpoint."""
        endpoint = f"http://127.0.0.1:{self.port}{webhook_path('ses', TENANT, ACCOUNT)}"
        account = registration(
            origin=self.sandbox.url,
            subscriptions=[{"endpoint": endpoint, "confirmed": confirmed}],
        )
        self.sandbox.control("POST", "/sandbox/accounts", account)

    def confirmed(self) -> list[bool]:
        """Which endpoints have confirmed, as the sandbox knows."""
        accounts = self.sandbox.control("GET", "/sandbox/accounts")["accounts"]
        (mine,) = [each for each in accounts if each.get("access_key_id") == KEY_ID]
        return list(mine["confirmed"])


def a_mail_template() -> Template:
    return Template(
        channel="email",
        content_class="utility",
        texts={"pt-BR": "Olá {name}, sua fatura de {amount} venceu."},
        subjects={"pt-BR": "Uma mensagem para você"},
    )


def a_mail_task(address: str) -> ContactTask:
    """A permitted mail to one debtor."""
    debtor_id, debt_id = uuid4(), uuid4()
    return a_task(
        contact_id=identities.contact_id(
            tenant_id=TENANT, debt_id=debt_id, episode=1, step_key="d3", channel="email", k=1
        ),
        debtor_id=debtor_id,
        channel="email",
        address=address,
        account_id=ACCOUNT,
        items=(Item(debt_id=debt_id, episode=1, step_key="d3", stage=1),),
        subjects=(
            "everything",
            subject_of("tenant", TENANT),
            subject_of("debtor", TENANT, str(debtor_id)),
            subject_of("debt", TENANT, str(debt_id)),
            address_subject(key_bytes(ADDRESS_KEY), TENANT, "email", address),
        ),
    )
