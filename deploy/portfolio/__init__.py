"""A sample portfolio: imaginary debtors of a Brazilian creditor and of a US agency, by seed.

In: a seed, a number of debtors and a start date. Out: CloudEvents as a client system posts them,
the configuration they need, and the client's own books, which turn payments of the sandbox's
debtors into events. Nothing here is anybody's: names are common, documents only pass their checks.
"""
