"""What the scheduler says of itself at the head of its OpenAPI document, for client systems."""

from shared.http.document import About

ABOUT = About(
    text=(
        "Debt events in, permitted contacts out. Client systems post debt events "
        "(`POST /v1/events`); operators configure, pause, explain and decide.\n\n"
        "**Keys.** Every request carries an API key, as `X-API-Key` or as a bearer token. A key "
        "belongs to one tenant and holds scopes; a platform key (tenant `*`) names the tenant by "
        "`?tenant=`.\n\n"
        "**Errors** are `application/problem+json` (RFC 9457): `type` for programs, `detail` for "
        "people, `errors` field by field with a remedy. A request that is refused changed "
        "nothing.\n\n"
        "**Time.** Instants carry an offset. Law time decides about windows and due dates, machine "
        "time about deadlines and expiry; outside a sandbox they are the same.\n\n"
        "**Repeating** is safe: an event is known by (source, id), a request by its "
        "`Idempotency-Key`, a change of configuration by `If-Match`. On 503 come back after "
        "`Retry-After`."
    ),
    tags={
        "events": "What client systems tell us. Amounts are decimal strings; unknown fields are "
        "refused. What becomes of an event is told by the ledger and on Kafka (asyncapi.json).",
        "configuration": "What the platform runs on, versioned, with who and when.",
        "holds": "Pause contact, see what is paused, resume it.",
        "work items": "What needs a person.",
        "explain": "What would happen now, why not, and when next.",
        "clock": "Both clocks; a sandbox steps law time.",
    },
    port=8081,
)
