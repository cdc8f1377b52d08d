"""From a task to something callable: account, provider, template and words, or why not.

In: a task. Out: `Ready`, or what it waits for. Configuration that has not arrived is waited for (a
few seconds, then the task is handed back); what can never work is a permanent failure of ours,
decided before the claim. Nothing here asks the database.
"""

from datetime import timedelta
from typing import Generic, TypeVar

import msgspec

from shared.directory import Directory
from shared.events.configuration import Portfolio, Template
from shared.events.contact import ContactTask
from shared.privacy import Sealer, address_digest
from shared.sender.attempts import Work
from shared.sender.channel import Channel, Message
from shared.sender.credentials import Accounts
from shared.sender.errors import CredentialError, ErrorKind, RenderError
from shared.sender.provider import Account, ChecksOptions, Provider
from shared.sender.store.claims import Candidate
from shared.telemetry import logs

WITHOUT_VALIDITY = timedelta(
    minutes=15
)  # a provider that may queue on: stop so long before the end

M = TypeVar("M", bound=Message)

_log = logs.get_logger(__name__)


class Missing(msgspec.Struct, frozen=True):
    """Configuration that has not arrived (or is not usable yet), e.g. `template`."""

    what: str


class Composer(Generic[M]):
    """Makes candidates for the claim out of tasks."""

    def __init__(
        self,
        channel: Channel[M],
        directory: Directory,
        accounts: Accounts,
        *,
        address_key: bytes,
        sealer: Sealer,
        call_budget: timedelta,
    ) -> None:
        self._channel = channel
        self._directory = directory
        self._accounts = accounts
        self._address_key = address_key
        self._sealer = sealer
        self._call_budget = call_budget
        self._complained: dict[str, str] = {}  # bounded by the accounts there are

    def account(self, tenant_id: str, account_id: str) -> Account | Missing:
        """Return the account of a lane with its secrets resolved, or what is missing."""
        try:
            account = self._accounts.get(tenant_id, account_id)
        except CredentialError as error:
            _log.error("credential_missing", account_id=account_id, reason=str(error))
            return Missing("credentials")
        if account is None:
            return Missing("account")
        if account.settings.channel != self._channel.name:
            return Missing("account of this channel")
        if account.settings.provider not in self._channel.providers:
            return Missing("provider")
        return account if self._fits(account) else Missing("options")

    def _fits(self, account: Account) -> bool:
        """Say whether the provider can work with the account's options; complain once if not."""
        provider = self.provider(account.settings.provider)
        if not isinstance(provider, ChecksOptions):
            return True
        wrong = provider.check_options(account.settings.options)
        if wrong is not None and self._complained.get(account.account_id) != wrong:
            self._complained[account.account_id] = wrong
            _log.error("account_options_wrong", account_id=account.account_id, reason=wrong)
        return wrong is None

    def provider(self, name: str) -> Provider[M]:
        """Return a provider of this channel by name."""
        return self._channel.providers[name]

    def candidate(self, work: Work, account: Account | None) -> Candidate | Missing:
        """Return the task, rendered, as a candidate; or what it waits for.

        A task that cannot be rendered comes back with `work.fault` set: the claim ends it.
        """
        task = work.task
        if account is not None and work.fault is None and work.message is None:
            template = self._directory.template(
                task.tenant_id, task.template_id, task.template_version
            )
            if template is None:
                return Missing("template")
            if self._channel.forbidden is not None:
                portfolio = self._directory.body(
                    "portfolio", task.tenant_id, task.portfolio_id, Portfolio
                )
                if portfolio is None:
                    return Missing("portfolio")
                self._forbid(work, task, self._channel.forbidden(task, portfolio, account.settings))
            if work.fault is None:
                self._compose(work, task, template)
        capable = (
            account is not None and self.provider(account.settings.provider).capabilities.validity
        )
        return Candidate(
            work=work,
            provider=account.settings.provider if account is not None else "",
            address_digest=address_digest(self._address_key, task.channel, task.address),
            template=f"{task.template_id}@{task.template_version}" if task.template_id else "",
            budget=self._call_budget if capable else self._call_budget + WITHOUT_VALIDITY,
        )

    def _forbid(self, work: Work, task: ContactTask, rule: str | None) -> None:
        if rule is not None:
            _log.error("contact_forbidden", contact_id=str(task.contact_id), rule=rule)
            work.fault = ErrorKind.POLICY_REFUSED.value

    def _compose(self, work: Work, task: ContactTask, template: Template) -> None:
        try:
            message = self._channel.compose(task, template)
        except RenderError as error:
            _log.error(
                "render_failed",
                contact_id=str(task.contact_id),
                template_id=task.template_id,
                template_version=task.template_version,
                reason=str(error),
            )
            work.fault = error.kind.value
            return
        work.message = message
        work.text_sealed = self._sealer.seal(message.text, str(task.contact_id))
