"""TLS as client or server: one context, made from files that an operator names.

In: the paths of CA certificates, and of a certificate of our own with its key. Out: a context (TLS
1.2 or later; a client's checks the server's certificate and name), or `TlsFilesError`: one line
that names the variable and the remedy.
"""

import ssl
from pathlib import Path
from typing import NamedTuple


class TlsFilesError(ValueError):
    """A file cannot be used; the text names the variable that named it, and the remedy."""


class TlsFiles(NamedTuple):
    """What is shown and, by a client, trusted; without `ca` it trusts what the system trusts."""

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    key_password: str = ""


def client_context(files: TlsFiles, *, variables: str) -> ssl.SSLContext:
    """Return a context; `variables` is what the settings' names begin with, such as KAFKA_TLS."""
    _check_pair(files, variables)
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if files.ca is not None:
        _trust(context, files.ca, f"{variables}_CA_FILE")
    if files.certificate is not None:
        _show(context, files, variables)
    return context


def server_context(files: TlsFiles, *, variables: str) -> ssl.SSLContext:
    """Return a context for who connects to us; nobody is asked for a certificate of their own."""
    _check_pair(files, variables)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _show(context, files, variables)
    return context


def _check_pair(files: TlsFiles, variables: str) -> None:
    if (files.certificate is None) != (files.key is None):
        raise TlsFilesError(f"set both {variables}_CERTIFICATE_FILE and {variables}_KEY_FILE")


def _trust(context: ssl.SSLContext, ca: Path, variable: str) -> None:
    try:
        context.load_verify_locations(cafile=ca)
    except ssl.SSLError:
        raise TlsFilesError(f"{variable} holds no certificate in PEM form") from None
    except OSError as error:
        raise TlsFilesError(_unreadable(variable, error)) from None


def _show(context: ssl.SSLContext, files: TlsFiles, variables: str) -> None:
    both = f"{variables}_CERTIFICATE_FILE and {variables}_KEY_FILE"
    try:
        # A function, even for no password: OpenSSL would otherwise ask at the terminal.
        context.load_cert_chain(
            files.certificate or "", files.key, password=lambda: files.key_password
        )
    except ssl.SSLError:
        raise TlsFilesError(
            f"{both} are not a certificate and its key in PEM form "
            f"(an encrypted key needs {variables}_KEY_PASSWORD)"
        ) from None
    except OSError as error:
        raise TlsFilesError(_unreadable(both, error)) from None


def _unreadable(variable: str, error: OSError) -> str:
    reason = error.strerror or type(error).__name__
    return f"{variable} cannot be read ({reason}); name a readable file"
