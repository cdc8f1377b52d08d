"""HTTP for every service: one way to build a server, one way to make a client.

In: a service's routers, its readiness and its progress. Out: an application in which every route
is authenticated unless it says otherwise, and every error is problem+json.
"""
