"""Which addresses may be called: how one is read, what is public, and what the operator allows besides.

An address has one reading here, and that reading is what is checked, resolved and put on the wire: two parsers that
differ about `http://a\\@b/` are how a guard is walked around.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import quote

import idna
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from gelatoconnect.lib.http.failures import Failed

Address = IPv4Address | IPv6Address

LONGEST = 2048  # characters of an address as a customer writes it
PORTS = {"https": 443, "http": 80}

# RFC 6890 and its registry at IANA (special-purpose addresses), and multicast (RFC 5771).
_NOT_PUBLIC_V4 = [
    IPv4Network(network)
    for network in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
        "224.0.0.0/4", "240.0.0.0/4",
        "168.63.129.16/32",  # Azure's own services as a virtual machine sees them
    )
]  # fmt: skip
# Global unicast is 2000::/3 (RFC 4291 §2.4): loopback, v4-compatible, NAT64, unique local, link local and multicast are
# outside of it. Inside: protocol assignments with Teredo (2001::/23), 6to4 (2002::/16) and what is for documentation.
_GLOBAL_V6 = IPv6Network("2000::/3")
_NOT_PUBLIC_V6 = [IPv6Network(network) for network in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")]

_URL = re.compile(r"([a-z][a-z0-9+.-]*)://([^/?#]*)([^#]*)(?:#.*)?", re.ASCII | re.IGNORECASE)
_AUTHORITY = re.compile(r"(?:\[([0-9a-fA-F:.]+)\]|([^:\[\]]+))(?::([0-9]{0,5}))?")
_LISTED = re.compile(r"(?:\[([0-9a-fA-F:./]+)\]|([^:\[\]]+))(?::([0-9]{1,5}))?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\\\u2028\u2029]")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
# A host whose last label is a number is an IPv4 address in some spelling (WHATWG URL, "ends in a number").
_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")


@dataclass(frozen=True, slots=True)
class Target:
    """An address in its one reading.

    host  a name in lower case and ASCII (IDNA), or an IP address without brackets
    path  path and query as they go on the request line: percent-encoding as given, the rest of it added
    ports of its protocol: any other is called only where the operator lists it
    """

    scheme: str
    host: str
    port: int
    path: str = "/"
    ports: tuple[int, ...] = tuple(PORTS.values())

    @property
    def literal(self) -> Address | None:
        try:
            return ip_address(self.host)
        except ValueError:
            return None

    @property
    def authority(self) -> str:
        """The value of the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path}"


def check(url: str) -> None:
    """Refuse what can be refused without asking anybody; a name may still turn out to point inside."""
    vet(read(url))


def vet(target: Target) -> None:
    """Raises Failed when the target may not be called wherever it is."""
    if target.literal is not None:
        judge(target, target.literal)
    elif not _admitted(target.host, target.port) and not _networks_are_listed():
        if "." not in target.host:
            raise Failed("URL_FORBIDDEN", f"{target.host} is not a name on the public internet.")
        if target.port not in target.ports:
            raise _port_refused(target)


def read(url: str, *, longest: int = LONGEST) -> Target:
    """Take an address apart. Raises Failed when it has no single clear reading, or a scheme that is not spoken."""
    if len(url) > longest:
        raise Failed("URL_INVALID", f"The address is longer than {longest} characters.")
    if _CONTROL.search(url) or url != url.strip():
        raise Failed("URL_INVALID", "The address contains a backslash, a control character or spaces around it.")
    match = _URL.fullmatch(url)
    if not match:
        raise Failed("URL_INVALID", "This is not a full address: it does not begin with https:// and a host.")
    scheme, authority, path = match[1].lower(), match[2], match[3]
    if scheme not in PORTS:
        raise Failed("URL_FORBIDDEN", f"Addresses that begin with {scheme}:// are not called.")
    if scheme == "http" and not settings.FETCH_ALLOW_HTTP:
        raise Failed("URL_FORBIDDEN", "Addresses without encryption (http://) are not called.")
    host, port = _read_authority(authority)
    return Target(scheme, host, PORTS[scheme] if port is None else port, _encoded(path))


def read_host(text: str) -> str:
    """The one reading of a host as a person writes it: a name, or an IP address with or without brackets."""
    bare = text.removeprefix("[").removesuffix("]")
    return _read_v6(bare) if ":" in bare else _read_name(bare)


def judge(target: Target, address: Address) -> None:
    """Raises Failed unless the target may be called where it was found to be."""
    address = _unmapped(address)
    if _admitted(target.host, target.port) or _admitted(address, target.port):
        return
    if not is_public(address):
        raise Failed("URL_FORBIDDEN", f"{target.host} is not on the public internet.")
    if target.port not in target.ports:
        raise _port_refused(target)


def is_public(address: Address) -> bool:
    """Whether it belongs to somebody on the public internet.

    Stricter than `is_global`, which takes multicast, NAT64, 6to4, v4-compatible addresses and those that clouds keep
    for themselves to be.
    """
    address = _unmapped(address)
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_V4)
    return address in _GLOBAL_V6 and not any(address in network for network in _NOT_PUBLIC_V6)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the operator's list: a name or a network, on one port or (None) on every port."""

    host: str | IPv4Network | IPv6Network
    port: int | None

    def admits(self, host: str | Address, port: int) -> bool:
        if self.port not in (None, port):
            return False
        if isinstance(self.host, str) or isinstance(host, str):
            return self.host == host
        return host in self.host


def allow_list() -> tuple[Entry, ...]:
    """FETCH_ALLOWED_HOSTS, read. Raises ImproperlyConfigured with the entry that cannot be."""
    return _entries(tuple(settings.FETCH_ALLOWED_HOSTS))


@lru_cache(maxsize=8)
def _entries(texts: tuple[str, ...]) -> tuple[Entry, ...]:
    return tuple(_entry(text) for text in texts)


def _entry(text: str) -> Entry:
    match = _LISTED.fullmatch(text)
    host, port = (match[1] or match[2], match[3]) if match else (text, None)
    try:
        place: str | IPv4Network | IPv6Network = ip_network(host, strict=False)
    except ValueError:
        try:
            place = _read_name(host)
        except Failed as failure:
            raise ImproperlyConfigured(f"FETCH_ALLOWED_HOSTS: {text!r} is neither a host nor a network.") from failure
    return Entry(place, int(port) if port else None)


def _admitted(host: str | Address, port: int) -> bool:
    return any(entry.admits(host, port) for entry in allow_list())


def _networks_are_listed() -> bool:
    """Whether the list holds networks: then only resolving tells if a name is in one of them."""
    return any(not isinstance(entry.host, str) for entry in allow_list())


def _port_refused(target: Target) -> Failed:
    return Failed("URL_FORBIDDEN", f"Port {target.port} is not called, only {' and '.join(map(str, target.ports))}.")


def _read_authority(text: str) -> tuple[str, int | None]:
    if "@" in text:
        raise Failed("URL_FORBIDDEN", "The address contains a user name or password.",
                     hint="Leave out everything before the @; sign the address instead.")  # fmt: skip
    match = _AUTHORITY.fullmatch(text)
    if not match:
        raise Failed("URL_INVALID", "The address has no host and port that can be read.")
    port = int(match[3]) if match[3] else None
    if port is not None and not 0 < port < 65_536:
        raise Failed("URL_INVALID", f"{port} is not a port.")
    return _read_v6(match[1]) if match[1] else _read_name(match[2]), port


def _read_v6(text: str) -> str:
    try:
        return str(IPv6Address(text))
    except ValueError as error:
        raise Failed("URL_INVALID", f"[{text}] is not an IPv6 address.") from error


def _read_name(text: str) -> str:
    try:
        name = text if text.isascii() else idna.encode(text, uts46=True).decode()
    except UnicodeError as error:
        raise Failed("URL_INVALID", f"{text!r} is not a name that a host can have.") from error
    name = name.lower().removesuffix(".")
    if _NUMBER.fullmatch(name):
        try:
            return str(IPv4Address(name))
        except ValueError as error:
            raise Failed("URL_INVALID", f"{text!r} is not an IP address in its usual spelling.") from error
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in name.split(".")):
        raise Failed("URL_INVALID", f"{text!r} is not a name that a host can have.")
    return name


def _encoded(path: str) -> str:
    try:
        encoded = quote(path, safe="!$%&'()*+,/:;=?@[]~")
    except UnicodeEncodeError as error:
        raise Failed("URL_INVALID", "The address contains half of a character.") from error
    return encoded if encoded.startswith("/") else f"/{encoded}"


def _unmapped(address: Address) -> Address:
    """The IPv4 address inside ::ffff:0:0/96 (RFC 4291 §2.5.5.2), which is where the connection would go."""
    return (isinstance(address, IPv6Address) and address.ipv4_mapped) or address
