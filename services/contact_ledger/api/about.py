"""What the ledger says of itself at the head of its OpenAPI document, for client systems."""

from shared.http.document import About

ABOUT = About(
    text=(
        "What happened to every debtor, and the figures made of it. Everything is read, with a key "
        "of scope `read`; what another tenant owns answers as what does not exist.\n\n"
        "**Lists** are cursor-paged: ask again with `next_cursor` as `cursor` until it is null. "
        "**Persons** are searched for by POST, so that no reference, phone or e-mail address "
        "stands in a URL. **Instants** of facts are law time; the ledger is some milliseconds "
        "behind what was accepted.\n\n"
        "**Errors** are `application/problem+json` (RFC 9457): `type` for programs, `detail` for "
        "people, `errors` field by field with a remedy."
    ),
    tags={
        "history": "One debtor's timeline; who is behind a reference.",
        "contacts": "Contacts as they stand.",
        "figures": "KPIs, the daily balance, alarms.",
        "feed": "Every fact in a stable order, for client systems without Kafka.",
    },
    port=8083,
)
