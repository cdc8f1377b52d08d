"""The question that Meta asks a webhook's URL before it uses it.

In: a URL and the verify token that its owner gave. Out: whether the URL gave our word back.
"""

from hashlib import blake2b

import aiohttp

CHALLENGE_SECONDS_MAX = 5.0
OK = 200


async def answers_challenge(url: str, token: str) -> bool:
    """Ask; no answer, another status and another word are all a no."""
    word = str(int.from_bytes(blake2b(url.encode(), digest_size=5).digest()))
    asked = {"hub.mode": "subscribe", "hub.challenge": word, "hub.verify_token": token}
    timeout = aiohttp.ClientTimeout(total=CHALLENGE_SECONDS_MAX)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(url, params=asked) as response,
        ):
            return response.status == OK and await response.text() == word
    except (aiohttp.ClientError, TimeoutError, ValueError):
        return False
