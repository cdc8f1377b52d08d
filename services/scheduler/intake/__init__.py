"""Intake: what clients post becomes debt events, once each, with its identities resolved.

In: CloudEvents and NDJSON (`parse`), checked strictly (`shapes`, `normalise`). Out: one
transaction (`record`) that resolves references to random ids (`resolve`), remembers the event,
writes its outbox record and, for what must stop contact, a hold (`stops`). What cannot be resolved
yet is parked with a hold and a work item, and released by the event it waits for.
"""
