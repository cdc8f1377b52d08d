"""How many parts a text message takes on the air.

In: a text. Out: the number of parts. The GSM 03.38 alphabet travels in 7 bits, anything else in 16;
what takes two places is never split over two parts.
"""

_GSM = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡"
    "ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_TWO = frozenset("\f^{}\\[~]|€")  # these take two places
GSM_SINGLE, GSM_PART = 160, 153
WIDE_SINGLE, WIDE_PART = 70, 67
BASIC_PLANE_LAST = "\uffff"  # letters beyond it take two places of 16 bits


def segments(body: str) -> int:
    """Return how many parts the carrier needs for `body`."""
    length = len(body)
    if _GSM.issuperset(body):  # every letter takes one place: no need to look at each
        return 1 if length <= GSM_SINGLE else -(-length // GSM_PART)
    if set(body) <= _GSM | _GSM_TWO:
        places = [1 + (letter in _GSM_TWO) for letter in body]
        single, part = GSM_SINGLE, GSM_PART
    elif max(body) <= BASIC_PLANE_LAST:
        return 1 if length <= WIDE_SINGLE else -(-length // WIDE_PART)
    else:
        places = [len(letter.encode("utf-16-le")) // 2 for letter in body]
        single, part = WIDE_SINGLE, WIDE_PART
    if sum(places) <= single:
        return 1
    count, filled = 1, 0
    for taken in places:
        filled += taken
        if filled > part:
            count, filled = count + 1, taken
    return count
