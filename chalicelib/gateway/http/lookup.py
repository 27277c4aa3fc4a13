"""From a host's name to the addresses that may be dialled (P9): looked at after the lookup, and again at the socket."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from aiohttp import AddrInfoType
from aiohttp.abc import AbstractResolver, ResolveResult

from chalicelib.gateway.addresses import is_allowed

#: From a host's name to its addresses as text. Raises OSError if there are none.
Lookup = Callable[[str], Awaitable[Sequence[str]]]


class AddressNotAllowed(OSError):
    """Every address of the host is one that isn't dialled (P9)."""


def addresses_of(host: str) -> Sequence[str]:
    """What the machine's own resolver says. It blocks for as long as a name server is silent."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    return [str(address[0]) for *_, address in found]


class ThreadedLookup:
    """A blocking lookup as one that can be waited for, and given up.

    The threads are its own: for those of the event loop, the loop's end waits.
    """

    def __init__(self, blocking: Callable[[str], Sequence[str]] = addresses_of, threads: int = 32) -> None:
        self._blocking = blocking
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="lookup")

    async def __call__(self, host: str) -> Sequence[str]:
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._blocking, host)


class AllowedAddresses(AbstractResolver):
    """Passes on of a host's addresses only those that may be dialled."""

    def __init__(self, lookup: Lookup, *, allow_loopback: bool) -> None:
        self._lookup = lookup
        self._allow_loopback = allow_loopback

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:  # noqa: ARG002
        found = await self._lookup(host)
        allowed = [address for address in found if is_allowed(address, allow_loopback=self._allow_loopback)]
        if found and not allowed:
            raise AddressNotAllowed(f"{host} is none of the public servers")
        if not allowed:
            raise OSError(f"{host} has no address")
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in allowed
        ]

    async def close(self) -> None:
        """There is nothing to close: the lookup isn't ours."""


def checked_socket(destination: AddrInfoType, *, allow_loopback: bool) -> socket.socket:
    """A socket for the very address that is about to be dialled, or AddressNotAllowed.

    The last of the checks of P9, and the one that nothing can come after: no second lookup, no address in a URL.
    """
    family, kind, protocol, _, address = destination
    if not is_allowed(str(address[0]), allow_loopback=allow_loopback):
        raise AddressNotAllowed(f"{address[0]} is no public server")
    return socket.socket(family, kind, protocol)
