"""What a person wrote in a reply, without what they quoted: above all without our own words.

In: the parts of a mail. Out: the new text, bounded. Our mails tell how to opt out; read along with
the answer, that line would make every reply an opt-out. What stands below a quotation that is
marked as one (`>`) is the person's again. Everything is one pass over lines: a mail comes from
strangers, and no pattern here can be made to backtrack.
"""

import re
from email.message import Message

from services.email_sender.markup import shown
from services.email_sender.message import WAYS_OUT
from shared.sender.replies import is_opt_out

PART_CHARS_MAX = 100_000  # of a part that is looked at; people write less
TEXT_CHARS_MAX = 4_000  # of the new text that is kept
MARKER_CHARS_MAX = 300  # a longer line introduces no quotation
INTRODUCING_LINES = 3  # mail programs break a line that introduces one at 72 to 78 characters
QUOTED_LINES = 4  # a quotation begins so close below the line that introduces it
HEADER_LINES = 4  # a quoted header names sender and date or subject so close together

_ATTRIBUTION_START = re.compile(r"(?:on|em|el|le|no dia|a|at)\b", re.IGNORECASE)
_ATTRIBUTION_END = re.compile(
    r"(?:wrote|escreveu|escribi[oó]|a écrit|writes|disse)\s?:\s*$", re.IGNORECASE
)
# Gmail in Portugal names the writer first: `Loja <a@b> escreveu no dia …:`.
_WRITER_FIRST = re.compile(
    r"[^<>]{0,100}<[^<>\s]{1,254}>\s+(?:wrote|escreveu|escribi[oó])\s+(?:no dia|em|on|el)\b"
    r".*:\s*$",
    re.IGNORECASE,
)
_DATED = re.compile(r"@|\d[/:.-]\d|\b20\d\d\b")  # what else introduces a quotation: who, when
_YOU_WROTE = re.compile(
    r"\W*(?:you|voc[eê]s?|usted(?:es)?|vos)\s+"
    r"(?:wrote|said|escreve(?:u|ram)|disse(?:ram)?|escribi(?:[oó]|eron)|dij(?:o|eron))\s?:",
    re.IGNORECASE,
)
_OURS = tuple(words.strip().casefold() for words in WAYS_OUT.values())
# Charsets that mail is written in; other codecs are for something else, some of them slow.
_CHARSET = re.compile(
    r"(?:us-?)?ascii|utf-?(?:7|8|16|32)(?:-?[bl]e)?"
    r"|(?:x-)?(?:iso|windows|cp|koi8|mac|gb|big5|euc|shift|hz|tis|latin|ibm|ks_c)[a-z0-9_:.-]{0,30}",
    re.IGNORECASE,
)
_SEPARATOR = re.compile(
    r"\s*(?:-{2,}\s?(?:original message|mensagem original|mensaje original|forwarded message"
    r"|mensagem encaminhada|mensaje reenviado)|_{20,}\s*$|-- ?$)",
    re.IGNORECASE,
)
_FIRST_HEADER = re.compile(r"\W{0,3}(?:from|de|von)\W{0,3}:", re.IGNORECASE)
_NEXT_HEADER = re.compile(
    r"\W{0,3}(?:sent|date|to|subject|enviad[oa]|data|para|assunto|fecha|asunto)\b.{0,20}:",
    re.IGNORECASE,
)
_PROGRAM = re.compile(
    r"\s*(?:sent from\b|enviad[oa] d[eo]\b|enviado desde\b"
    r"|(?:sent with|sent using|enviad[oa] (?:com|con|via|pelo))\W(?:o |a |el )?\W?"
    r"(?:proton|spark|aqua|yahoo|gmail|outlook|tuta|canary|blue ?mail|mailspring|zoho)"
    r"|(?:get|obter|obt[eé]n|obtener|obtenha|baixe|baixar|descargar?|download) (?:o )?outlook\b"
    r").{0,120}$",
    re.IGNORECASE,
)
_REPLYING = re.compile(r"\s*(?:re|res|rv|fw|fwd|enc|aw|tr)\s?(?:\[\d+\])?:", re.IGNORECASE)


def written(message: Message, subject: str) -> str:
    """Return what the person wrote; the subject counts when it is theirs and not an answer's.

    A wish to be left alone stands by itself wherever it is: "STOP" below a greeting is one.
    """
    text = new_text(text_of(message))
    own = "" if _REPLYING.match(subject) else subject
    for each in (text, own):
        if is_opt_out(each):
            return each[:TEXT_CHARS_MAX]
    return f"{own}\n{text}".strip()[:TEXT_CHARS_MAX]


def new_text(text: str) -> str:
    """Return the lines before, between and below quotations."""
    lines = text.splitlines()
    kept = []
    number = 0
    while number < len(lines):
        line = lines[number]
        introduced = _introduces(lines, number)
        if introduced and not _is_quoted(lines, number + introduced):
            break  # nothing tells where such a quotation ends
        if _begins_quotation(lines, number):
            break
        if not introduced and not _is_ours(line):
            kept.append(line.rstrip())
        number += introduced or 1
    return "\n".join(kept).strip()


def text_of(message: Message) -> str:
    """Return the first plain part, else the first HTML part as text, else nothing."""
    plain, markup = None, None
    for part in message.walk():
        if part.is_multipart() or part.get_content_disposition() == "attachment":
            continue
        kind = part.get_content_type()
        if kind == "text/plain" and plain is None:
            plain = _decoded(part)
        elif kind == "text/html" and markup is None:
            markup = _decoded(part)
    if plain is not None and plain.strip():
        return plain
    return shown(markup) if markup is not None else ""


def _is_ours(line: str) -> bool:
    """Say whether a line quotes: by its mark, by its words, or one of ours as they are."""
    bare = line.strip()
    return (
        bare.startswith(">")
        or _YOU_WROTE.match(bare[:MARKER_CHARS_MAX]) is not None
        or bare[:MARKER_CHARS_MAX].casefold().startswith(_OURS)
    )


def _is_quoted(lines: list[str], number: int) -> bool:
    """Say whether what follows is marked as a quotation."""
    following = [each for each in lines[number : number + QUOTED_LINES] if each.strip()]
    return bool(following) and following[0].lstrip().startswith(">")


def _introduces(lines: list[str], number: int) -> int:
    """Return how many lines introduce a quotation here: who wrote, and when."""
    line = lines[number]
    if len(line) > MARKER_CHARS_MAX or not line.strip() or line.lstrip().startswith(">"):
        return 0
    group: list[str] = []
    for each in lines[number : number + INTRODUCING_LINES]:
        if group and not each.strip():
            break
        group.append(each)
        if _is_attribution(group):
            return len(group)
    return 0


def _is_attribution(group: list[str]) -> bool:
    """Say whether these lines together, and no fewer, name a writer; a wish below none is theirs.

    Three lines are one only with an address or a date.
    """
    joined = " ".join(group)[-MARKER_CHARS_MAX:]
    alone = len(group) == 1
    named = _ATTRIBUTION_START.match(group[0].lstrip()) or (alone and _DATED.search(joined))
    if named and _ATTRIBUTION_END.search(joined):
        found = len(group) < INTRODUCING_LINES or _DATED.search(joined) is not None
    else:
        wraps = "@" in group[0] or (not alone and group[1].lstrip().startswith("<"))
        found = wraps and _WRITER_FIRST.match(joined) is not None
    return found and (alone or not any(is_opt_out(each) for each in group))


def _begins_quotation(lines: list[str], number: int) -> bool:
    line = lines[number]
    if len(line) > MARKER_CHARS_MAX or not line.strip():
        return False
    if _SEPARATOR.match(line) or _PROGRAM.match(line):
        return True
    if _FIRST_HEADER.match(line):
        following = lines[number + 1 : number + HEADER_LINES]
        return any(_NEXT_HEADER.match(each[:MARKER_CHARS_MAX]) for each in following)
    return False


def decoded(raw: bytes, charset: str | None) -> str:
    """Return bytes as text, whatever charset they claim to be in."""
    name = charset if charset and _CHARSET.fullmatch(charset) else "utf-8"
    try:
        return raw.decode(name, "replace")
    except (LookupError, ValueError):  # a charset that nobody knows
        return raw.decode("utf-8", "replace")


def _decoded(part: Message) -> str:
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes):
        return ""
    return decoded(payload, part.get_content_charset())[:PART_CHARS_MAX]
