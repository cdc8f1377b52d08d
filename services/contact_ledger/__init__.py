"""The ledger: everything that happened to every debtor, kept for ever, and the numbers made of it.

In: debt.events.v1, contact.events.v1, contact.holds.v1 (what happened), platform.config.v1 (who
may ask). Out: HTTP: a debtor's history, search, KPIs, the daily balance, contacts, a feed of facts.
Tables: `entry` (append-only, by month), `debtor_key` (one data key per debtor, wrapped), `consumed`
(where to resume), and projections: `contact`, `account`, `promise`, `payment`, `reply`, `hold`,
`lookup`.
"""
