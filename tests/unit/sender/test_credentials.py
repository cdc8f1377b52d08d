"""Credentials of accounts: references are followed where the operator lets them, and only there."""

from pathlib import Path

import pytest

from shared.sender.credentials import resolve
from shared.sender.errors import CredentialError
from shared.sender.grants import Grants
from shared.sender.settings import SenderSettings

TENANT = "acme"
KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="


def grants(secrets: str = "env:*", hosts: str = "", *, own: tuple[str, ...] = ()) -> Grants:
    return Grants(secrets=secrets, hosts=hosts, own_variables=own)


def sender_settings(**given: str) -> SenderSettings:
    common = {"kafka_bootstrap": "k:1", "postgres_url": "postgresql://u:p@h/d"}
    keys = {"address_key": KEY, "text_key": KEY, "callback_key": KEY}
    return SenderSettings.model_validate(common | keys | given)


def test_references_are_followed_and_public_names_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    secret = tmp_path / TENANT / "token"
    secret.parent.mkdir()
    secret.write_text("from-a-file\n")
    monkeypatch.setenv("SOME_SID", "AC1")
    given = {"account_sid": "env:SOME_SID", "service_sid": "MG2", "auth_token": f"file:{secret}"}
    resolved = {"account_sid": "AC1", "service_sid": "MG2", "auth_token": "from-a-file"}
    allowed = grants(f"env:SOME_*, file:{tmp_path}/{{tenant}}/*")
    assert resolve(given, TENANT, allowed) == resolved


@pytest.mark.parametrize("reference", ["a-secret-in-clear", "env:", "env:NOT_SET", "file:/nowhere"])
def test_what_leads_nowhere_is_named_without_its_value(reference: str) -> None:
    with pytest.raises(CredentialError, match="auth_token") as caught:
        resolve({"auth_token": reference}, TENANT, grants("env:*,file:/*"))
    assert "a-secret-in-clear" not in str(caught.value)


@pytest.mark.parametrize(
    "reference",
    [
        "env:TEXT_KEY",
        "env:POSTGRES_URL",
        "env:CALLBACK_KEY_FILE",
        "env:PATH",
        "file:/etc/passwd",
        "file:/proc/self/environ",
        "file:/run/secrets/other/token",
        "file:/run/secrets/acme/../other/token",
        "file:/run/secrets/acme/sub/token",
    ],
)
def test_an_account_reads_nothing_that_its_tenant_was_not_given(
    reference: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_production = Grants.of(sender_settings(mode="production"))
    if reference.startswith("env:"):
        monkeypatch.setenv(reference.removeprefix("env:"), "ours")
    with pytest.raises(CredentialError, match="PROVIDER_SECRETS"):
        resolve({"auth_token": reference}, TENANT, in_production)


@pytest.mark.parametrize("name", ["TEXT_KEY", "CALLBACK_KEY", "POSTGRES_URL", "ADDRESS_KEY_FILE"])
def test_no_pattern_gives_away_the_settings_of_the_process(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    generous = [
        Grants.of(sender_settings(mode="sandbox")),
        Grants.of(sender_settings(mode="production", provider_secrets="env:*")),
    ]
    monkeypatch.setenv(name, "ours")
    for each in generous:
        with pytest.raises(CredentialError, match="PROVIDER_SECRETS"):
            resolve({"auth_token": f"env:{name}"}, TENANT, each)


def test_a_grant_to_one_tenant_is_none_to_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACME_TOKEN", "t")
    allowed = grants("acme=env:ACME_TOKEN")
    assert resolve({"auth_token": "env:ACME_TOKEN"}, "acme", allowed) == {"auth_token": "t"}
    with pytest.raises(CredentialError, match="PROVIDER_SECRETS"):
        resolve({"auth_token": "env:ACME_TOKEN"}, "other", allowed)


@pytest.mark.parametrize(
    "base_url",
    [
        "https://evil.example",
        "https://api.example.org.evil.example",
        "https://api.example.org@evil.example/",
        "https://api.example.org:8443/",
        "https://169.254.169.254/",
        "not an address",
    ],
)
def test_secrets_go_to_listed_hosts_only(base_url: str) -> None:
    allowed = grants(hosts="api.example.org:443, gateway.example.org")
    allowed.check_host(None)
    allowed.check_host("https://api.example.org:443/v1")
    allowed.check_host("https://GATEWAY.example.org:9000")
    with pytest.raises(CredentialError, match="PROVIDER_HOSTS"):
        allowed.check_host(base_url)
