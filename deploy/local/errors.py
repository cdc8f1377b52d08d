"""The one exception that a person sees when the local stack cannot do its work."""


class CannotRun(Exception):  # noqa: N818 - it reads as the sentence it prints
    """One line that says what is in the way and what to do; printed without a traceback."""
