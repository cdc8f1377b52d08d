"""The scheduler's HTTP doors: events, holds, configuration, work items, clock, explain.

In: authenticated requests (`shared.http.edge` has checked key, size and JSON). Out: calls into the
modules that do the work, and JSON answers or problem+json. No statement of SQL is here.
"""
