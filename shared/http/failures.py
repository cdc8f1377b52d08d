"""What an error that no route caught is answered with: 503 while a server is away, else 500.

In: the error, and the service's own word on which errors mean that database or brokers are away or
busy. Out: the problem to send, and one line in the log that carries its `instance`. Clients repeat
a 503 and report a 500, so the difference must not depend on each route's care.
"""

from collections.abc import Callable

from shared.http.problems import Problem
from shared.telemetry import logs

IsAway = Callable[[Exception], bool]

_log = logs.get_logger(__name__)


def never(_: Exception) -> bool:
    """What a service says that depends on no server."""
    return False


def answer_to(error: Exception, route: str, is_away: IsAway) -> Problem:
    """Return the problem for an error; `route` is a template, never what a caller sent."""
    if is_away(error):
        detail = "The service cannot reach its database now. Repeat the request a little later."
        problem = Problem(503, "Not available", detail, "not-available")
        told = {"route": route, "instance": problem.instance}
        _log.warning("request_put_off", **told, error_type=type(error).__name__)
        return problem
    problem = Problem(500)
    _log.error("request_failed", route=route, instance=problem.instance, exc_info=error)
    return problem
