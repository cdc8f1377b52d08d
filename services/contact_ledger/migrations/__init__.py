"""Alembic revisions of the ledger; run by `shared.postgres.migrate`."""
