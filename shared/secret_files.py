"""Secrets that come as files: `NAME_FILE` names the file that holds what `NAME` would.

In: the environment and the fields of a settings class. Out: the secrets that files hold, as
container engines and orchestrators hand them over, or a `SettingsError` that names the variable.
"""

import os
from pathlib import Path
from typing import Any, get_args

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import EnvSettingsSource

FILE_SUFFIX = "_FILE"
SECRET_FILE_BYTES_MAX = 65_536  # a key or URL is far smaller: more is the wrong file


class SettingsError(ValueError):
    """A setting is missing or wrong; the text names the variable and the remedy, on one line."""


class SecretFileSource(EnvSettingsSource):
    """Reads `NAME_FILE` for every secret field (container and orchestrator secrets)."""

    def __call__(self) -> dict[str, Any]:
        """Return the secrets that files hold."""
        found: dict[str, Any] = {}
        for name, field in self.settings_cls.model_fields.items():
            variable = name.upper()
            path = os.environ.get(variable + FILE_SUFFIX)
            if not path or not is_secret(field):
                continue
            if os.environ.get(variable):
                msg = f"{variable} and {variable}{FILE_SUFFIX} are both set; keep one"
                raise SettingsError(msg)
            found[name] = _read_secret(variable, Path(path))
        return found


def is_secret(field: FieldInfo) -> bool:
    """Say whether a setting is a secret: never shown, and readable from a file."""
    return _holds_secret(field.annotation)


def _holds_secret(annotation: object) -> bool:
    """See a secret also inside Optional and Annotated."""
    return annotation is SecretStr or any(map(_holds_secret, get_args(annotation)))


def _read_secret(variable: str, path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(SECRET_FILE_BYTES_MAX + 1)
        if len(raw) > SECRET_FILE_BYTES_MAX:
            msg = f"{variable}{FILE_SUFFIX} names a file over {SECRET_FILE_BYTES_MAX} bytes"
            raise SettingsError(msg)
        return raw.decode().strip()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        msg = f"{variable}{FILE_SUFFIX} cannot be read ({reason}); name a readable file"
        raise SettingsError(msg) from None
    except UnicodeDecodeError:
        msg = f"{variable}{FILE_SUFFIX} is not text; store the secret as UTF-8"
        raise SettingsError(msg) from None
