"""Every error is problem+json that names field and remedy, and never a value."""

from typing import Any

import pytest

from tests.support.site import PHONE, Site, assert_problem


async def test_unknown_paths_and_methods(site: Site) -> None:
    assert_problem(await site.call("GET", "/v1/nothing"), 404, "not-found")
    assert_problem(await site.call("GET", "/v1/me/"), 404, "not-found")
    wrong = await site.call("DELETE", "/v1/me")
    assert_problem(wrong, 405, "method-not-allowed")
    assert wrong.headers["allow"] == "GET"
    wrong = await site.call("GET", "/v1/raw", "writer")
    assert_problem(wrong, 405, "method-not-allowed")
    assert wrong.headers["allow"] == "POST"


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        ({"name": "x"}, "phone", "is required"),
        ({"name": "x", "phone": PHONE, PHONE: 1}, "***", "is not known"),
        ({"name": "Maria " * 9, "phone": PHONE}, "name",
         "string should have at most 20 characters"),
        ({"name": "x", "phone": PHONE, "age": "Maria"}, "age", "input should be a valid integer"),
    ],
)  # fmt: skip
async def test_a_wrong_field_is_named_with_its_remedy_and_without_its_value(
    site: Site, body: dict[str, Any], field: str, message: str
) -> None:
    answer = await site.call("POST", "/v1/debtors", "writer", json=body)
    problem = assert_problem(answer, 422, "validation")
    (error,) = problem["errors"]
    assert error["field"] == field
    assert error["message"] == message
    assert error["remedy"]


async def test_raw_routes_name_wrong_fields_the_same_way(site: Site) -> None:
    answer = await site.call("POST", "/v1/raw", "writer", json={"debt_ref": 1})
    (error,) = assert_problem(answer, 422, "validation")["errors"]
    assert error["field"] == "debt_ref"


async def test_a_problem_raised_below_a_route_arrives_as_it_is(site: Site) -> None:
    body = assert_problem(await site.call("GET", "/v1/broken/problem"), 409, "conflict")
    assert body["detail"] == "This id was used with another body."


@pytest.mark.parametrize(("method", "path"), [("GET", "/v1/broken/all"), ("POST", "/v1/raw/fail")])
async def test_a_crash_is_one_clean_500(site: Site, method: str, path: str) -> None:
    answer = await site.call(method, path)
    assert_problem(answer, 500, "internal-server-error")
