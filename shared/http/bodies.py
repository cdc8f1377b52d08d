"""Reading request bodies: strict JSON, bounded in size (at the edge) and in depth, no surprises.

In: raw bytes. Out: Python values or typed structs; or a problem that names field and remedy. NaN,
Infinity, numbers beyond range and repeated member names are refused: each would be read
differently by two readers of the same text.
"""

import json
import math
import re
from typing import Any, NoReturn, TypeVar

import msgspec
from starlette.requests import Request

from shared.http.problems import Problem, from_msgspec

# No database column and no UTF-8 text can hold these: NUL, and halves of a surrogate pair.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
DEPTH_MAX = 32  # our deepest body has 6 levels; a deeper one attacks the parser

T = TypeVar("T")


class NotStrict(ValueError):
    """Text that some JSON readers take and the standard does not; or two readers read apart."""


def strict_json(body: bytes, depth_max: int = DEPTH_MAX) -> Any:
    """Return the JSON value in `body`; raise the 400 problem that says why it is refused."""
    try:
        value = _decoder.decode(body.decode())
    except RecursionError:
        raise _too_deep(depth_max) from None
    except UnicodeDecodeError:
        raise _malformed("The body is not UTF-8 text.") from None
    except NotStrict as error:
        raise _malformed(f"The body {error}.") from None
    except json.JSONDecodeError as error:
        raise _malformed(f"The body is not valid JSON at character {error.pos}.") from None
    except ValueError:  # an integer of thousands of digits
        raise _malformed("The body holds a number out of range.") from None
    check_depth(value, depth_max)
    if b"\\u" in body and _holds_unstorable(value):  # unescaped, the decoder refused them already
        raise _malformed("The body holds a NUL character or half a surrogate pair.")
    return value


def check_depth(value: object, depth_max: int = DEPTH_MAX) -> None:
    """Raise the 400 problem when `value` nests deeper than `depth_max` levels."""
    level = [value]
    for _ in range(depth_max):
        below: list[object] = []
        for each in level:
            if isinstance(each, dict):
                below.extend(each.values())
            elif isinstance(each, list):
                below.extend(each)
        level = [each for each in below if isinstance(each, (dict, list))]
        if not level:
            return
    raise _too_deep(depth_max)


def decode(body: bytes, shape: type[T], depth_max: int = DEPTH_MAX) -> T:
    """Return `body` as `shape` (a msgspec struct or any type it takes); raise 400 or 422."""
    value = strict_json(body, depth_max)
    try:
        return msgspec.convert(value, shape, str_keys=True)
    except msgspec.ValidationError as error:
        raise from_msgspec(error) from None


async def read(request: Request, shape: type[T]) -> T:
    """Return the body of a request as `shape`; raise the 400 or 422 problem."""
    return decode(await request.body(), shape)


def _holds_unstorable(value: object) -> bool:
    left = [value]
    while left:
        each = left.pop()
        if isinstance(each, str):
            if _UNSTORABLE.search(each):
                return True
        elif isinstance(each, dict):
            left += [*each.keys(), *each.values()]
        elif isinstance(each, list):
            left += each
    return False


def _refuse_constant(name: str) -> NoReturn:
    msg = f"holds {name}, which is not JSON"
    raise NotStrict(msg)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        msg = "holds a number out of range"
        raise NotStrict(msg)
    return number


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        msg = "repeats a member name within one object"
        raise NotStrict(msg)
    return members


_decoder = json.JSONDecoder(
    parse_constant=_refuse_constant, parse_float=_finite, object_pairs_hook=_distinct
)


def _malformed(detail: str) -> Problem:
    return Problem(400, "Malformed JSON", f"{detail} Send well-formed JSON.", "malformed-json")


def _too_deep(depth_max: int) -> Problem:
    detail = f"The body nests deeper than {depth_max} levels; send a flatter one."
    return Problem(400, "JSON too deep", detail, "json-too-deep")
