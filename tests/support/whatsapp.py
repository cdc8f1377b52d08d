"""The WhatsApp sender at work in a test: real Kafka and PostgreSQL, and the sandbox as Meta.

In: a database, a broker, a sandbox. Out: a `WhatsAppStage`: the scheduler's part and the facts as
on every stage, and people who answer through the sandbox.
"""

import asyncio
from typing import Any

import aiohttp

from deploy.local.databases import Database
from services.whatsapp_sender.channel import WHATSAPP
from services.whatsapp_sender.settings import WhatsAppSenderSettings
from shared.events import identities
from shared.events.configuration import ApiKey, Button, Portfolio, SenderAccount, Template
from shared.events.contact import ContactTask
from shared.events.hold import subject_of
from shared.http.auth import digest_of
from shared.privacy import address_subject, key_bytes
from tests.support import meta
from tests.support.contacts import ADDRESS_KEY, TENANT, a_task
from tests.support.sandbox import Sandbox
from tests.support.sending import API_KEY, Stage

ACCOUNT = "acme-whatsapp"
REMINDER, NOTE = "reminder", "note"
SECRETS = {
    "TEST_META_TOKEN": meta.TOKEN,
    "TEST_META_SECRET": meta.SECRET,
    "TEST_META_VERIFY": meta.VERIFY_TOKEN,
}
BUTTONS = (
    Button(kind="promise", titles={"pt": "Prometo pagar"}),
    Button(kind="human", titles={"pt": "Falar com pessoa"}),
    Button(kind="opt_out", titles={"pt": "Não quero receber"}),
)
ENTRIES: dict[tuple[str, str], Any] = {
    ("template", REMINDER): Template(
        channel="whatsapp",
        content_class="utility",
        texts={"pt-BR": "Olá {name}, seu pagamento de {amount} vence hoje."},
        provider_name="payment_reminder",
        provider_locales={"pt-BR": "pt_BR"},
        parameters=("name", "amount"),
        buttons=BUTTONS,
    ),
    ("template", NOTE): Template(
        channel="whatsapp", content_class="utility", texts={"pt-BR": "Combinado, {name}."}
    ),
    ("portfolio", "loja"): Portfolio(
        creditor_name="Loja", collector_role="first_party", country="BR", currency="BRL",
        locale="pt-BR", ladder_id="l", accounts={"whatsapp": ACCOUNT}, packs=(),
    ),
    ("portfolio", "agency"): Portfolio(
        creditor_name="Loja", collector_role="third_party", country="BR", currency="BRL",
        locale="pt-BR", ladder_id="l", accounts={"whatsapp": ACCOUNT}, packs=(),
    ),
}  # fmt: skip


class WhatsAppStage(Stage):
    """Everything around one WhatsApp sender."""

    channel = WHATSAPP
    settings_class = WhatsAppSenderSettings

    def __init__(self, database: Database, bootstrap: str, suffix: str, sandbox: Sandbox) -> None:
        super().__init__(database, bootstrap, suffix)
        self.sandbox = sandbox

    async def configure(self, **options: str) -> None:  # type: ignore[override]
        """Publish the account, its portfolios and templates."""
        account = SenderAccount(
            channel="whatsapp",
            provider="meta",
            sender=meta.NUMBER,
            rate_per_second=80.0,
            credentials={
                "access_token": "env:TEST_META_TOKEN",
                "app_secret": "env:TEST_META_SECRET",
                "verify_token": "env:TEST_META_VERIFY",
            },
            base_url=self.sandbox.url,
            options={"phone_number_id": meta.NUMBER_ID, "waba_id": meta.WABA_ID, **options},
        )
        key = ApiKey(sha256=digest_of(API_KEY), scopes=("operator",), label="test")
        await self.store("account", ACCOUNT, account)
        await self.store("api_key", "k", key)
        for (kind, name), body in ENTRIES.items():
            await self.store(kind, name, body)

    def environment(self, port: int) -> dict[str, str]:
        """What the process reads."""
        given = super().environment(port) | {"PROVIDER_SECRETS": "env:TEST_META_*"}
        return given | SECRETS

    @property
    def webhook_url(self) -> str:
        """Where Meta posts."""
        return f"http://127.0.0.1:{self.port}/webhooks/meta/{TENANT}/{ACCOUNT}"

    async def connect(self) -> None:
        """Let Meta make sure of the webhook's URL and use it, as an operator would."""
        api = meta.client(self.sandbox.url).api
        await asyncio.to_thread(
            api.set_phone_alternate_callback_url,
            self.webhook_url,
            meta.VERIFY_TOKEN,
            meta.NUMBER_ID,
        )

    async def says(self, address: str, text: str, intent: str = "other") -> None:
        """Let a person answer the last message to this address."""
        body = {"recipient": address, "text": text, "intent": intent, "provider": "meta"}
        await asyncio.to_thread(self.sandbox.control, "POST", "/sandbox/replies", body)

    async def accepted_by_meta(self, task: ContactTask) -> int:
        """How many messages of a contact the provider has taken."""
        lines = await asyncio.to_thread(self.sandbox.truth)
        mine = [line for line in lines if line.get("contact_id") == str(task.contact_id)]
        return sum(line["kind"] == "accepted" for line in mine)

    async def get(self, query: dict[str, str]) -> tuple[int, str]:
        """GET the webhook's URL, as Meta does and as strangers do."""
        async with (
            aiohttp.ClientSession() as session,
            session.get(self.webhook_url, params=query) as response,
        ):
            return response.status, await response.text()


def a_message(address: str, template: str = REMINDER, **changes: Any) -> ContactTask:
    """A permitted WhatsApp message to one debtor."""
    made = a_task(
        channel="whatsapp",
        address=address,
        account_id=ACCOUNT,
        template_id=template,
        **changes,
    )
    debt_id = made.items[0].debt_id
    named: dict[str, Any] = {
        "tenant_id": TENANT, "debt_id": debt_id, "episode": 1, "step_key": "d3",
        "channel": "whatsapp", "k": 1,
    }  # fmt: skip
    subjects = (
        "everything",
        subject_of("tenant", TENANT),
        subject_of("debtor", TENANT, str(made.debtor_id)),
        subject_of("debt", TENANT, str(debt_id)),
        address_subject(key_bytes(ADDRESS_KEY), TENANT, "whatsapp", address),
    )
    fields = {each: getattr(made, each) for each in made.__struct_fields__}
    fields |= {"contact_id": identities.contact_id(**named), "subjects": subjects}
    return ContactTask(**fields)
