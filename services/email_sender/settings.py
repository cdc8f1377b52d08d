"""Settings of the e-mail sender."""

from pathlib import Path
from typing import ClassVar

from pydantic import Field, SecretStr, model_validator

from shared.secret_files import SettingsError
from shared.sender.settings import SenderSettings
from shared.tls import TlsFiles, TlsFilesError, server_context

MAIL_TLS = "MAIL_TLS"  # what the names of these settings begin with


class EmailSenderSettings(SenderSettings):
    """What every sender reads, and the way in by mail."""

    service_name: ClassVar[str] = "email_sender"

    http_port: int = Field(
        8084, ge=0, le=65_535, description="port the HTTP server binds; 0 takes any free one"
    )
    mail_host: str = Field(
        "127.0.0.1", description="address on which bounces and replies are taken in by SMTP"
    )
    mail_port: int = Field(8025, ge=0, le=65_535, description="port of it; 0 takes no mail in")
    mail_connections_max: int = Field(
        20,
        ge=1,
        le=2_000,
        description="SMTP connections taken in at once; a mail may take 10 MiB of memory",
    )
    mail_tls_certificate_file: Path | None = Field(
        None,
        description="certificate (PEM, with its chain) shown to who brings mail and asks for "
        "STARTTLS; unset: mail comes in unencrypted; read again when it changes",
    )
    mail_tls_key_file: Path | None = Field(None, description="its private key (PEM)")
    mail_tls_key_password: SecretStr | None = Field(
        None, description="password of that key, if it is encrypted"
    )
    mail_tls_required: bool = Field(
        default=False, description="whether mail is refused from who does not begin TLS first"
    )

    @model_validator(mode="after")
    def _check_mail_tls(self) -> "EmailSenderSettings":
        files = self.mail_tls_files()
        if files is None:
            if self.mail_tls_required:
                raise SettingsError(
                    "MAIL_TLS_REQUIRED needs MAIL_TLS_CERTIFICATE_FILE and MAIL_TLS_KEY_FILE"
                )
            return self
        try:
            server_context(files, variables=MAIL_TLS)
        except TlsFilesError as error:
            raise SettingsError(str(error)) from None
        return self

    def mail_tls_files(self) -> TlsFiles | None:
        """Return what mail that comes in is encrypted with; None when it is not."""
        password = self.mail_tls_key_password
        files = TlsFiles(
            certificate=self.mail_tls_certificate_file,
            key=self.mail_tls_key_file,
            key_password=password.get_secret_value() if password is not None else "",
        )
        return None if files == TlsFiles() else files
