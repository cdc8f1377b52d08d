"""Which phone numbers can take an SMS, as far as their digits tell.

In: a number in E.164. Out: whether it is a fixed line. Only plans whose digits say so are listed;
elsewhere (North America) nobody can tell by looking.
"""

import re

# Brazil: area code, then eight digits beginning with 2 to 5 on fixed lines, nine with 9 on mobiles.
_FIXED = re.compile(r"\+55[1-9]{2}[2-5]\d{7}")


def is_fixed_line(number: str) -> bool:
    """Say whether the number is certainly no mobile."""
    return _FIXED.fullmatch(number) is not None
