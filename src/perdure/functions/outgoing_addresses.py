"""Which hosts ``call_http`` may reach: an allow list, and a block of networks that are not public."""

import asyncio
import fnmatch
import ipaddress
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from perdure.functions.app_settings import AppSettings

HOSTS_SETTING = "PERDURE_CALL_HTTP_HOSTS"
PRIVATE_SETTING = "PERDURE_CALL_HTTP_PRIVATE"

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Host and port → its IP addresses. Raises OSError."""


class AddressRefused(Exception):
    """The host's settings do not let a request go there."""


async def look_up(host: str, port: int) -> list[str]:
    """The addresses as the system knows them."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=1)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


@dataclass(frozen=True, slots=True)
class AddressRules:
    """``hosts`` None allows every name; ``public_only`` refuses loopback, link-local and private addresses."""

    hosts: tuple[str, ...] | None = None
    public_only: bool = False
    resolve: Resolve = look_up

    async def address_of(self, uri: str) -> str | None:
        """Where to connect: a checked address, or None to leave it to the connection. Raises AddressRefused, OSError.

        A name is looked up once and the connection goes to that address: another answer of the resolver, a moment
        later, changes nothing.
        """
        parts = urlsplit(uri)
        host = (parts.hostname or "").rstrip(".")
        if self.hosts is not None and not any(fnmatch.fnmatchcase(host, pattern) for pattern in self.hosts):
            raise AddressRefused(f"the host '{host}' is not in {HOSTS_SETTING}.")
        if not self.public_only:
            return None
        addresses = await self.resolve(host, parts.port or (443 if parts.scheme == "https" else 80))
        for address in addresses:
            if not _is_public(address):
                raise AddressRefused(f"'{host}' is at {address}, which is not public ({PRIVATE_SETTING}=block).")
        if not addresses:
            raise AddressRefused(f"'{host}' has no address.")
        return addresses[0]


ANY_ADDRESS = AddressRules()


def read_rules(settings: AppSettings) -> AddressRules:
    """The rules of the app's settings. Raises ValueError for a setting that cannot be read."""
    private = (settings.get(PRIVATE_SETTING) or "allow").strip().lower()
    if private not in ("allow", "block"):
        raise ValueError(f"The setting {PRIVATE_SETTING} is '{private}'; it is 'allow' or 'block'.")
    names = settings.get(HOSTS_SETTING)
    hosts = None if names is None else tuple(name.strip().lower() for name in names.split(",") if name.strip())
    return AddressRules(hosts, private == "block")


def _is_public(address: str) -> bool:
    ip = ipaddress.ip_address(address.partition("%")[0])
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return (mapped or ip).is_global and not (mapped or ip).is_multicast
