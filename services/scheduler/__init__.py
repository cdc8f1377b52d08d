"""The scheduler: debt events in, permitted contacts out.

In: debt events over HTTP, facts of the senders on contact.events.v1, holds on contact.holds.v1.
Out: debt.events.v1, contact tasks, decisions on contact.events.v1, holds and configuration. Owns
the schema `scheduler`. Door to effect: `api` -> `intake` -> `store` -> outbox; `planner` ->
`policy` -> `store`; `dispatcher` -> `policy` -> `store`.
"""
