"""Credentials of accounts: references are followed, public names taken as they are."""

from pathlib import Path

import pytest

from shared.sender.credentials import resolve
from shared.sender.errors import CredentialError


def test_references_are_followed_and_public_names_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    secret = tmp_path / "token"
    secret.write_text("from-a-file\n")
    monkeypatch.setenv("SOME_SID", "AC1")
    given = {"account_sid": "env:SOME_SID", "service_sid": "MG2", "auth_token": f"file:{secret}"}
    resolved = {"account_sid": "AC1", "service_sid": "MG2", "auth_token": "from-a-file"}
    assert resolve(given) == resolved


@pytest.mark.parametrize("reference", ["a-secret-in-clear", "env:", "env:NOT_SET", "file:/nowhere"])
def test_what_leads_nowhere_is_named_without_its_value(reference: str) -> None:
    with pytest.raises(CredentialError, match="auth_token") as caught:
        resolve({"auth_token": reference})
    assert "a-secret-in-clear" not in str(caught.value)
