"""A PostgreSQL server's TLS, in front of one that was built without: speaks its SSLRequest.

In: the server's address and a certificate. Out: a port that lets nobody in without TLS; behind it
are the server's own bytes.
"""

import asyncio
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

SSL_REQUEST = struct.pack(">ii", 8, 80_877_103)  # what a client that wants TLS says first
CHUNK_BYTES = 65_536


@asynccontextmanager
async def tls_door(port: int, certificate: tuple[Path, Path]) -> AsyncIterator[int]:
    """Yield the port of a door to the server at `port` of this machine."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)

    async def let_in(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            if await reader.readexactly(len(SSL_REQUEST)) == SSL_REQUEST:
                writer.write(b"S")
                await writer.start_tls(context)
                inside, outside = await asyncio.open_connection("127.0.0.1", port)
                await asyncio.gather(_pass_on(reader, outside), _pass_on(inside, writer))
        writer.close()

    server = await asyncio.start_server(let_in, "127.0.0.1", 0)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(CHUNK_BYTES):
        writer.write(chunk)
        await writer.drain()
    writer.close()
