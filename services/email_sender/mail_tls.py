"""What the listener shows to who begins TLS: a certificate that may be renewed while it runs.

In: the files that the settings name. Out: the context for the next connection, made anew when one
of the files has changed: whoever renews certificates need not restart anything. A new pair that
does not fit, or is written in two steps, is told once and the old one stays in use.
"""

import ssl
from pathlib import Path

from cryptography import x509

from services.email_sender.settings import MAIL_TLS
from shared.telemetry import logs, metrics
from shared.tls import TlsFiles, TlsFilesError, server_context

_log = logs.get_logger(__name__)

_Seen = tuple[tuple[int, int, int], ...]


class MailTls:
    """The certificate and key of one listener; `None` files: mail comes in unencrypted."""

    def __init__(self, files: TlsFiles | None) -> None:
        """Read the files; raise `TlsFilesError` when they are no certificate and its key."""
        self._files = files
        self._seen: _Seen = ()
        self._context: ssl.SSLContext | None = None
        if files is not None:
            self._seen = _seen(files)
            self._read(files)

    def context(self) -> ssl.SSLContext | None:
        """Return the context for a connection that begins now.

        Two looks at a folder per connection: microseconds, and nothing is read that did not change.
        """
        if self._files is None:
            return None
        seen = _seen(self._files)
        if seen != self._seen:
            self._seen = seen  # noted first: what does not fit is read once, not per connection
            try:
                self._read(self._files)
            except TlsFilesError as error:
                _log.error("mail_certificate_not_renewed", reason=str(error))
            else:
                _log.info("mail_certificate_renewed")
        return self._context

    def _read(self, files: TlsFiles) -> None:
        self._context = server_context(files, variables=MAIL_TLS)
        expires = _expires_at(files.certificate)
        if expires is not None:
            metrics.SENDER_MAIL_CERTIFICATE_EXPIRES.set(expires)


def _seen(files: TlsFiles) -> _Seen:
    """Return what tells one version of the files from another, through links; () if unreadable."""
    try:
        states = [path.stat() for path in (files.certificate, files.key) if path is not None]
    except OSError:
        return ()
    return tuple((each.st_ino, each.st_size, each.st_mtime_ns) for each in states)


def _expires_at(certificate: Path | None) -> float | None:
    """Return when the certificate expires, in seconds since 1970."""
    try:
        found = x509.load_pem_x509_certificates(certificate.read_bytes() if certificate else b"")
    except (OSError, ValueError):
        return None
    return found[0].not_valid_after_utc.timestamp()
