"""Log lines are JSON, one per event, and hold no personal data whichever way it comes in."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import structlog
from structlog.typing import FilteringBoundLogger

from shared.telemetry import logs

PHONE = "+5511987654321"
EMAIL = "maria.silva@example.com"
NAME = "Maria Aparecida da Silva"
CPF = "123.456.789-09"


class Secretive(msgspec.Struct):
    phone: str = PHONE


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = before, level
    structlog.reset_defaults()


def a_logger(name: str = "x") -> FilteringBoundLogger:
    logs.configure("probe", "info")  # in the test itself: its stdout is not its fixtures'
    return logs.get_logger(name)


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_line_says_when_who_and_what(capsys: pytest.CaptureFixture[str]) -> None:
    a_logger("shared.probe").info("batch_planned", contacts=3, debtor_id="d-1")
    (line,) = lines(capsys)
    assert list(line)[:4] == ["at", "level", "service", "event"]
    assert line["service"] == "probe"
    assert line["module"] == "shared.probe"
    assert line["event"] == "batch_planned"
    assert line["contacts"] == 3
    assert line["debtor_id"] == "d-1"


def test_lines_below_the_level_are_not_written(capsys: pytest.CaptureFixture[str]) -> None:
    a_logger("x").debug("noise")
    logging.getLogger("x").debug("noise")
    assert lines(capsys) == []


@pytest.mark.parametrize("key", ["phone", "email", "name", "document", "amount", "text", "address",
                                 "to", "from", "body", "Phone", "values", "api_key"])  # fmt: skip
def test_personal_fields_are_dropped_by_name(capsys: pytest.CaptureFixture[str], key: str) -> None:
    a_logger("x").info("seen", **{key: NAME, "nested": {"list": [{key: NAME}]}})
    written = capsys.readouterr().out
    assert "Maria" not in written
    assert written.count(logs.REDACTED) == 2


@pytest.mark.parametrize(
    "value",
    [PHONE, EMAIL, CPF, f"row ({PHONE})", [f"to {EMAIL}"], {"k": CPF}, ValueError(PHONE),
     pytest.param(PHONE.encode(), id="bytes"), Secretive(), {PHONE}],
)  # fmt: skip
def test_personal_values_are_masked_under_any_name(
    capsys: pytest.CaptureFixture[str], value: object
) -> None:
    a_logger("x").info("seen", harmless=value)
    a_logger("x").info(f"seen {value}")
    written = capsys.readouterr().out
    for personal in (PHONE, EMAIL, CPF, "87654321"):
        assert personal not in written


def broken_row() -> None:
    msg = f"invalid input '{NAME}' for \"debt_ref\"\nDETAIL: Key (phone)=({PHONE}) exists"
    raise ValueError(msg)


def test_an_error_leaves_type_place_and_a_scrubbed_message(
    capsys: pytest.CaptureFixture[str],
) -> None:
    try:
        broken_row()
    except ValueError:
        a_logger("x").exception("row_refused")
    (line,) = lines(capsys)
    assert line["error_type"] == "ValueError"
    assert line["error"] == "invalid input '***' for \"debt_ref\""
    assert line["where"][-1].startswith("test_logs.py:")
    assert line["where"][-1].endswith("broken_row")


def test_libraries_speak_the_same_way(capsys: pytest.CaptureFixture[str]) -> None:
    a_logger()
    try:
        broken_row()
    except ValueError:
        logging.getLogger("driver").exception("cannot send to %s: '%s'", PHONE, NAME)
    (line,) = lines(capsys)
    assert line["event"] == "cannot send to ***: '***'"
    assert line["module"] == "driver"
    assert line["level"] == "error"
    assert line["error"] == "invalid input '***' for \"debt_ref\""


def test_chatty_libraries_are_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    a_logger()
    logging.getLogger("httpx").info("HTTP Request: GET https://example.com/?to=x")
    logging.getLogger("httpx").warning("pool is full")
    assert [line["event"] for line in lines(capsys)] == ["pool is full"]


def test_a_long_value_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    a_logger("x").info("seen", note="x" * 100_000)
    assert len(capsys.readouterr().out) < 3_000


def test_what_cannot_be_shown_is_redacted_not_raised(capsys: pytest.CaptureFixture[str]) -> None:
    a_logger("x").info("seen", thing=object(), deep=[[[[[["x"]]]]]])
    (line,) = lines(capsys)
    assert line["thing"] == logs.REDACTED
    assert logs.REDACTED in json.dumps(line["deep"])
