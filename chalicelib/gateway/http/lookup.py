"""From a host's name to the addresses that may be dialled (P9). They are checked after the lookup and at the socket."""

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
    """No address of the host may be dialled (P9)."""


def addresses_of(host: str) -> Sequence[str]:
    """The addresses by the machine's own resolver. It blocks while a name server doesn't answer."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    return [str(address[0]) for *_, address in found]


class ThreadedLookup:
    """Runs a blocking lookup in a thread, so that it can be awaited and cancelled.

    It has threads of its own, because an event loop waits at its end for its default threads.
    """

    def __init__(self, blocking: Callable[[str], Sequence[str]] = addresses_of, threads: int = 32) -> None:
        self._blocking = blocking
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="lookup")

    async def __call__(self, host: str) -> Sequence[str]:
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._blocking, host)


class AllowedAddresses(AbstractResolver):
    """Resolves a name to those of its addresses that may be dialled."""

    def __init__(self, lookup: Lookup, *, allow_loopback: bool) -> None:
        self._lookup = lookup
        self._allow_loopback = allow_loopback

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:  # noqa: ARG002
        found = await self._lookup(host)
        allowed = [address for address in found if is_allowed(address, allow_loopback=self._allow_loopback)]
        if found and not allowed:
            raise AddressNotAllowed(f"{host} is no public server")
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
        """Nothing to close: the lookup belongs to the caller."""


def checked_socket(destination: AddrInfoType, *, allow_loopback: bool) -> socket.socket:
    """A socket for the address that is about to be dialled. Raises AddressNotAllowed.

    This is the last check of P9. Nothing that changes the address can come after it: neither a second lookup nor an
    address in a URL.
    """
    family, kind, protocol, _, address = destination
    if not is_allowed(str(address[0]), allow_loopback=allow_loopback):
        raise AddressNotAllowed(f"{address[0]} is no public server")
    return socket.socket(family, kind, protocol)
