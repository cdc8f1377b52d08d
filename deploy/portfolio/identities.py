"""Documents and telephone numbers that pass their checks and belong to the sample alone.

In: a random source. Out: CPF and CNPJ with right check digits, US taxpayer-like numbers of a range
that is never issued, mobile numbers that the numbering plans accept.
"""

from random import Random

import phonenumbers

TRIES_MAX = 1_000  # a plan refuses a few per cent of the digits drawn; 1,000 in a row is a mistake


def cpf(random: Random) -> str:
    """Return a Brazilian person's number, written with its marks."""
    digits = [random.randrange(10) for _ in range(9)]
    if len(set(digits)) == 1:
        digits[0] = (digits[0] + 1) % 10  # 111.111.111-11 passes the sum but is refused everywhere
    for length in (10, 11):
        total = sum(digit * (length - place) for place, digit in enumerate(digits))
        digits.append(total * 10 % 11 % 10)
    text = "".join(map(str, digits))
    return f"{text[:3]}.{text[3:6]}.{text[6:9]}-{text[9:]}"


def cnpj(random: Random) -> str:
    """Return a Brazilian company's number, written with its marks."""
    digits = [random.randrange(10) for _ in range(8)] + [0, 0, 0, 1]
    for _ in range(2):
        weights = [place % 8 + 2 for place in range(len(digits))][::-1]
        rest = sum(a * b for a, b in zip(digits, weights, strict=True)) % 11
        digits.append(0 if rest < 2 else 11 - rest)  # noqa: PLR2004 - the rule of the check digit
    text = "".join(map(str, digits))
    return f"{text[:2]}.{text[2:5]}.{text[5:8]}/{text[8:12]}-{text[12:]}"


def us_taxpayer(random: Random) -> str:
    """Return a number shaped like a US taxpayer's, from area 9xx-00 that is never issued."""
    return f"9{random.randrange(100):02d}-00-{random.randrange(1, 10_000):04d}"


class Phones:
    """Draws mobile numbers, each once."""

    def __init__(self) -> None:
        """Start with none taken."""
        self._taken: set[str] = set()

    def draw(self, random: Random, country: str, area_code: str) -> str:
        """Return a fresh valid number of the area, E.164; never of the fictional 555 exchange."""
        for _ in range(TRIES_MAX):
            if country == "BR":
                number = f"+55{area_code}9{random.randrange(60_000_000, 100_000_000)}"
            else:
                exchange = random.randrange(220, 990)
                if exchange % 100 == 11 or exchange == 555:  # noqa: PLR2004 - service codes, fiction
                    continue
                number = f"+1{area_code}{exchange}{random.randrange(10_000):04d}"
            if number in self._taken:
                continue
            if phonenumbers.is_valid_number(phonenumbers.parse(number)):
                self._taken.add(number)
                return number
        msg = f"area {country} {area_code} has no free numbers left"
        raise ValueError(msg)
