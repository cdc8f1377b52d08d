"""Strict JSON: what two readers could read apart is refused, by name, without the value."""

from contextlib import suppress
from datetime import date
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.http import bodies
from shared.http.problems import Problem


class Line(msgspec.Struct, forbid_unknown_fields=True):
    amount: Decimal
    due_date: date


class Debt(msgspec.Struct, forbid_unknown_fields=True):
    debt_ref: str
    lines: list[Line]


@pytest.mark.parametrize(
    ("body", "slug", "says"),
    [
        (b"", "malformed-json", "not valid JSON at character 0"),
        (b'{"a": 1', "malformed-json", "not valid JSON"),
        (b'{"a": NaN}', "malformed-json", "NaN"),
        (b'{"a": Infinity}', "malformed-json", "Infinity"),
        (b'{"a": -Infinity}', "malformed-json", "-Infinity"),
        (b'{"a": 1e999}', "malformed-json", "out of range"),
        (b'{"a": ' + b"9" * 5_000 + b"}", "malformed-json", "out of range"),
        (b'{"a": 1, "a": 2}', "malformed-json", "repeats a member name"),
        (b'[{"x": {"a": 1, "a": 1}}]', "malformed-json", "repeats a member name"),
        (b"\xff\xfe", "malformed-json", "UTF-8"),
        (b'{"a": ["x\\u0000"]}', "malformed-json", "NUL"),
        (b'{"\\udc00": 1}', "malformed-json", "surrogate"),
        (b'{"a": 1} {"a": 2}', "malformed-json", "not valid JSON"),
        (b"[" * 33 + b"1" + b"]" * 33, "json-too-deep", "32 levels"),
        (b'{"a":' * 33 + b"1" + b"}" * 33, "json-too-deep", "32 levels"),
        (b"[" * 100_000 + b"]" * 100_000, "json-too-deep", "32 levels"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "json-too-deep", "32 levels"),
        (b"[" * 1_000_000, "json-too-deep", "32 levels"),
    ],
)
def test_refusals_say_why(body: bytes, slug: str, says: str) -> None:
    with pytest.raises(Problem) as refused:
        bodies.strict_json(body)
    assert refused.value.status == 400
    assert refused.value.type_slug == slug
    assert says in refused.value.text


def test_the_deepest_allowed_body_is_read() -> None:
    assert bodies.strict_json(b"[" * 32 + b"]" * 32) is not None


texts = st.characters(exclude_categories=["Cs"], exclude_characters="\0")  # what a column can hold
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False,
    allow_infinity=False) | st.text(texts, max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(texts, max_size=8), inner,
    max_size=4),
    max_leaves=20,
)  # fmt: skip


@given(json_values)
def test_every_ordinary_value_is_read_back(value: object) -> None:
    assert bodies.strict_json(msgspec.json.encode(value)) == value


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_with_400(body: bytes) -> None:
    with suppress(Problem):  # any other exception would be a 500
        bodies.strict_json(body)


def test_a_body_becomes_a_typed_value() -> None:
    body = b'{"debt_ref": "D-1", "lines": [{"amount": "1120.00", "due_date": "2026-03-02"}]}'
    debt = bodies.decode(body, Debt)
    assert debt == Debt("D-1", [Line(Decimal("1120.00"), date(2026, 3, 2))])


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        ('{"lines": []}', "debt_ref", "is required"),
        ('{"debt_ref": "D", "lines": [{"due_date": "2026-03-02"}]}', "lines[0].amount",
         "is required"),
        ('{"debt_ref": "D", "lines": [], "phone": "+5511987654321"}', "phone", "is not known"),
        ('{"debt_ref": "D", "lines": [], "+5511987654321": 1}', "***", "is not known"),
        ('{"debt_ref": 5511987654321, "lines": []}', "debt_ref", "expected str"),
        ('{"debt_ref": "D", "lines": [{"amount": "Maria", "due_date": "2026-03-02"}]}',
         "lines[0].amount", "invalid decimal string"),
        ('{"debt_ref": "D", "lines": [{"amount": "1", "due_date": "Maria"}]}',
         "lines[0].due_date", "invalid RFC3339 encoded date"),
        ("[]", "body", "expected object"),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named_without_its_value(body: str, field: str, message: str) -> None:
    with pytest.raises(Problem) as refused:
        bodies.decode(body.encode(), Debt)
    problem = refused.value
    assert problem.status == 422
    (error,) = problem.errors
    assert (error.field, error.message) == (field, message)
    assert error.remedy
    written = problem.response().body
    assert b"Maria" not in written
    assert b"5511987654321" not in written
