"""Our requests and our table of errors against Amazon's own model of the SES v2 API."""

import base64
import hashlib
from typing import Any

import botocore.session
import msgspec
import pytest
from botocore.serialize import create_serializer
from botocore.validate import ParamValidator

from deploy.sandbox.ses_signature import canonical, sign
from deploy.sandbox.wire import Request
from services.email_sender.providers.ses.adapter import PATH, request_body
from services.email_sender.providers.ses.answers import KIND_OF_CODE
from services.email_sender.providers.ses.places import Place, place_of
from services.email_sender.providers.ses.signing import CONTENT_TYPE, SERVICE
from shared.sender.provider import Account, Sending
from tests.contract.providers.ses import message, settings


@pytest.fixture(scope="module")
def model() -> Any:
    return botocore.session.Session().get_service_model("sesv2")


@pytest.fixture(scope="module")
def body() -> dict[str, Any]:
    account = Account(
        tenant_id="acme",
        account_id="main",
        settings=settings("http://127.0.0.1:1", {}),
        credentials={},
    )
    place = place_of(account.settings)
    assert isinstance(place, Place)
    sending = Sending(
        callback_url="https://example.org/c", validity_seconds=60, reference="a-1-2-3"
    )
    mail = message("maria@example.net", "Sua parcela vence amanhã.")
    made: dict[str, Any] = msgspec.json.decode(request_body(place, account, mail, sending))
    return made


def as_parameters(body: dict[str, Any]) -> dict[str, Any]:
    """The request as a caller of Amazon's client would write it: bytes, not base64."""
    raw = base64.b64decode(body["Content"]["Raw"]["Data"])
    return body | {"Content": {"Raw": {"Data": raw}}}


def test_our_request_fits_the_model(model: Any, body: dict[str, Any]) -> None:
    shape = model.operation_model("SendEmail").input_shape
    assert not ParamValidator().validate(as_parameters(body), shape).has_errors()
    strange = as_parameters(body) | {"NoSuchMember": 1}
    assert ParamValidator().validate(strange, shape).has_errors()


def test_our_request_is_what_amazons_client_would_send(model: Any, body: dict[str, Any]) -> None:
    operation = model.operation_model("SendEmail")
    sent = create_serializer("rest-json").serialize_to_request(as_parameters(body), operation)
    assert (sent["method"], sent["url_path"]) == ("POST", PATH)
    assert sent["headers"]["Content-Type"] == CONTENT_TYPE
    assert msgspec.json.decode(sent["body"]) == body
    assert model.signing_name == SERVICE


def test_every_error_of_the_model_has_its_kind(model: Any) -> None:
    modelled = {shape.name for shape in model.operation_model("SendEmail").error_shapes}
    assert modelled
    assert modelled <= set(KIND_OF_CODE)


def test_the_sandbox_signs_amazons_published_example() -> None:
    request = Request(
        method=b"GET",
        path="/",
        query="Action=ListUsers&Version=2010-05-08",
        headers={
            b"content-type": b"application/x-www-form-urlencoded; charset=utf-8",
            b"host": b"iam.amazonaws.com",
            b"x-amz-date": b"20150830T123600Z",
        },
        body=b"",
    )
    hashed = "f536975d06c0309214f805bb90ccff089219ecd68b2577efef23edd43b7e1a59"
    scope = "20150830/us-east-1/iam/aws4_request"
    text = f"AWS4-HMAC-SHA256\n20150830T123600Z\n{scope}\n{hashed}"
    secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
    assert sign(secret, scope, text) == (
        "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
    )
    digest = hashlib.sha256(canonical(request, ("content-type", "host", "x-amz-date")).encode())
    assert digest.hexdigest() == hashed
