"""The sender runtime, written once: tasks and webhooks in, provider calls and facts out.

In: `contact.tasks.<channel>.v1`, `contact.holds.v1`, `platform.config.v1` and providers' webhooks.
Out: provider calls, and facts on `contact.events.v1` through the outbox. The guarantee (at most one
accepted call per contact, nothing silent) rests on one `attempt` row per call, committed before the
call, never taken over and never re-queued. A service is a `Channel` value plus its providers.

Reading order: `deliver` (task to fact), `calls` (one provider call), `store.claims` (the row that
decides every race), `holds` (stop means stop), `webhooks` and `receipts` (what comes back).
"""
