"""The one exception that a person sees when the local stack cannot do its work."""


class CannotRun(Exception):
    """One line that says what is in the way and what to do; printed without a traceback."""
