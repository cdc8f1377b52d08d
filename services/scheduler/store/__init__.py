"""Every SQL statement of the scheduler: one module per part, one function per question.

In: an open connection inside the caller's transaction. Out: values and rows written. Callers own
the unit of work; nothing here commits.
"""
