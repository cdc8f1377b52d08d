"""Bodies that are no events at all: broken, endless, too many; refused as a whole or one by one."""

import json

import pytest

from tests.support.scheduler import Doors, a_payment, a_registration

SINGLE = {"content-type": "application/cloudevents+json"}


@pytest.mark.parametrize("body", ['{"id": "x"', "", "nonsense", '{"a": NaN}', '{"a": Infinity}'])
async def test_a_body_that_is_no_json_is_refused_as_such(door: Doors, body: str) -> None:
    answer = await door.call("POST", "/v1/events", content=body, headers=SINGLE)

    assert answer.status_code == 400
    assert answer.json()["type"].endswith("malformed-json")


async def test_broken_text_is_refused_as_malformed(door: Doors) -> None:
    event = json.dumps(a_registration(debtor={"name": "Ana"}))

    latin = await door.call(
        "POST", "/v1/events", content=event.replace("Ana", "Joã").encode("latin-1"), headers=SINGLE
    )
    surrogate = await door.call(
        "POST", "/v1/events", content=event.replace("Ana", "\\ud800"), headers=SINGLE
    )

    assert (latin.status_code, surrogate.status_code) == (400, 400)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("[" * 100_000, id="unclosed"),
        pytest.param("[" * 5_000 + "]" * 5_000, id="arrays"),
        pytest.param('{"data":' * 5_000 + "1" + "}" * 5_000, id="objects"),
    ],
)
async def test_endless_nesting_is_refused(door: Doors, body: str) -> None:
    single = await door.call("POST", "/v1/events", content=body, headers=SINGLE)
    batch = await door.call(
        "POST",
        "/v1/events",
        content=f"[{body}]",
        headers={"content-type": "application/cloudevents-batch+json"},
    )
    lines = await door.call(
        "POST", "/v1/events:bulk", content=body, headers={"content-type": "application/x-ndjson"}
    )

    assert single.status_code in (400, 422)
    assert batch.status_code == 400 or batch.json()["refused"] == 1
    assert lines.json()["refused"] == 1


async def test_a_repeated_member_is_refused(door: Doors) -> None:
    event = json.dumps(a_payment()).replace('"amount"', '"amount": "1.00", "amount"')

    answer = await door.call("POST", "/v1/events", content=event, headers=SINGLE)

    assert answer.status_code == 400


async def test_too_large_too_many_and_unknown_media_are_refused(door: Doors) -> None:
    large = await door.call("POST", "/v1/events", content=b" " * 10_000_000, headers=SINGLE)
    many = await door.batch([{}] * 1_001)
    media = await door.call(
        "POST", "/v1/events", content=b"<a/>", headers={"content-type": "text/xml"}
    )
    none = await door.batch([])

    assert (large.status_code, many.status_code, media.status_code, none.status_code) == (
        413,
        413,
        415,
        400,
    )


async def test_a_batch_that_is_no_array_is_refused(door: Doors) -> None:
    answer = await door.call(
        "POST",
        "/v1/events",
        json={"id": "x"},
        headers={"content-type": "application/cloudevents-batch+json"},
    )

    assert answer.status_code == 400
