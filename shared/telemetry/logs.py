"""Logs: one JSON line per unit of work and per failure, on stdout, without personal data.

In: structlog calls, and the standard library's logging (servers and drivers). Out: JSON lines
whose personal fields are dropped by name and whose every other string is masked by pattern, and
errors as type, place and a message stripped of quoted values. A log line names ids and counts.
"""

import logging
import re
import sys
import traceback
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, cast

import msgspec
import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

from shared.privacy import mask_text

REDACTED = "[redacted]"
PERSONAL_KEYS = frozenset(
    {
        "address", "addresses", "amount", "amounts", "body", "birth_date", "contact_points", "cpf",
        "cnpj", "debt_ref", "debtor_name", "debtor_ref", "document", "documents", "email", "emails",
        "first_name", "form", "from", "headers", "last_name", "message_text", "msisdn", "name",
        "names", "payload", "phone", "phones", "principal", "query", "recipient", "recipients",
        "ssn", "text", "texts", "to", "url", "values",
        "api_key", "authorization", "password", "secret", "token",
    }
)  # fmt: skip
DEPTH_MAX = 4  # a log line nests little; deeper values are cut, not walked
TEXT_CHARS_MAX = 2_000  # one line stays one line, and a runaway value cannot fill a disk
FRAMES_MAX = 6  # the innermost frames say where it broke

# Quoted text in an error message is a value unless it looks like a name of ours (snake_case).
_QUOTED = re.compile(r"'((?:[^'\\]|\\.){0,500})'|\"((?:[^\"\\]|\\.){0,500})\"|=\(([^)]{0,500})\)")
_IDENTIFIER = re.compile(r"[a-z][a-z0-9]*(?:[_.][a-z0-9]+)+")
_QUIET = ("httpx", "httpcore", "asyncio", "aiokafka", "uvicorn", "opentelemetry")

_encoder = msgspec.json.Encoder(enc_hook=lambda _: REDACTED)  # only what we know how to show


def get_logger(name: str) -> FilteringBoundLogger:
    """Return the logger of a module; call it as `log.info("verb_noun", count=…, debtor_id=…)`."""
    return cast("FilteringBoundLogger", structlog.get_logger(module=name))


def configure(service: str, level: str = "info") -> None:
    """Send this process's logs, and those of every library, to stdout as redacted JSON lines."""
    threshold = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        _Stamp(service),
        describe_error,
        redact,
    ]
    structlog.configure(
        processors=[*shared, _render],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stdout),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_from_library, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _render],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(threshold)
    for name in _QUIET:  # their info lines name hosts and URLs once per call
        library = logging.getLogger(name)
        library.handlers.clear()
        library.propagate = True
        library.setLevel(max(threshold, logging.WARNING))


def redact(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Drop personal fields by name and mask phones, e-mails and documents in all others."""
    return {key: _clean(key, value, 0) for key, value in event.items()}


def describe_error(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Turn `exc_info` into type, scrubbed message and place; no source lines, no values."""
    info = event.pop("exc_info", None)
    event.pop("stack_info", None)
    error = info if isinstance(info, BaseException) else None
    if error is None and isinstance(info, tuple):
        error = info[1]
    if error is None and info:
        error = sys.exc_info()[1]
    if error is not None:
        event["error_type"] = type(error).__name__
        event["error"] = scrub(str(error))
        event["where"] = places(error.__traceback__)
    return event


def scrub(message: str) -> str:
    """Return an error message without the values that drivers like to quote in it."""
    first_line = message.partition("\n")[0]  # databases put the offending row on the next line
    return mask_text(_QUOTED.sub(_hide_value, first_line))[:TEXT_CHARS_MAX]


def places(trace: TracebackType | None) -> list[str]:
    """Return the innermost frames of a traceback as `module.py:line function`."""
    frames = traceback.extract_tb(trace)[-FRAMES_MAX:]
    return [f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in frames]


class _Stamp:
    """Adds the service's name to every line."""

    def __init__(self, service: str) -> None:
        self._service = service

    def __call__(self, _: WrappedLogger, __: str, event: EventDict) -> EventDict:
        event["service"] = self._service
        return event


def _from_library(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Keep who spoke; a library's message is free text, so it is scrubbed like an error's."""
    record = event.get("_record")
    if record is not None:
        event["module"] = record.name
    event["event"] = scrub(str(event.get("event", "")))
    return event


def _clean(key: str, value: object, depth: int) -> object:
    if key.lower() in PERSONAL_KEYS:
        return REDACTED
    if isinstance(value, str):
        return mask_text(value[:TEXT_CHARS_MAX])
    if isinstance(value, BaseException):
        return f"{type(value).__name__}: {scrub(str(value))}"
    if isinstance(value, (Mapping, list, tuple, set, frozenset)):
        return REDACTED if depth >= DEPTH_MAX else _clean_each(value, depth + 1)
    # Bytes and structs may be anything; numbers, instants and ids are what logs are for.
    return REDACTED if isinstance(value, (bytes, bytearray, memoryview, msgspec.Struct)) else value


def _clean_each(value: Mapping[Any, object] | Iterable[object], depth: int) -> object:
    if isinstance(value, Mapping):
        return {str(key): _clean(str(key), each, depth) for key, each in value.items()}
    return [_clean("", each, depth) for each in value]


def _hide_value(match: re.Match[str]) -> str:
    quoted = match[1] or match[2] or ""
    return match[0] if _IDENTIFIER.fullmatch(quoted) else "'***'"


def _render(_: WrappedLogger, __: str, event: EventDict) -> str:
    first = {key: event.pop(key) for key in ("at", "level", "service", "event") if key in event}
    event.pop("_record", None)
    event.pop("_from_structlog", None)
    line: dict[str, Any] = {**first, **event}
    return _encoder.encode(line).decode()
