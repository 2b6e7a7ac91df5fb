"""Where a request goes: ``host:port/route``, ``http://``, ``https://`` or ``unix:/path/to/socket:/route``."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import NoReturn

_SCHEME = re.compile(r"([^/?#]*)://")
_HOST = re.compile(r"[a-z0-9._-]+")
_NOT_IN_PATH = re.compile(r"[\x00-\x20\x7f]")
_DEFAULT_PORT = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Url:
    """A checked URL. ``socket_path`` is set for the scheme ``unix``, ``host`` and ``port`` for the others."""

    scheme: str
    host: str
    port: int
    socket_path: str
    target: str

    @property
    def host_header(self) -> str:
        if self.scheme == "unix":
            return "localhost"
        name = f"[{self.host}]" if ":" in self.host else self.host
        return name if self.port == _DEFAULT_PORT[self.scheme] else f"{name}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether the host is this machine, by its name alone."""
        if self.host == "localhost" or self.host.endswith(".localhost"):
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def origin(self) -> str:
        """What says which server this is: the URL without the route, and with the port."""
        if self.scheme == "unix":
            return "unix:" + self.socket_path
        name = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{name}:{self.port}"

    def __str__(self) -> str:
        return self.origin + (":" if self.scheme == "unix" else "") + self.target


@lru_cache(maxsize=1024)
def parse_url(text: str) -> Url:
    """Raises ValueError with the reason for what is no URL."""

    def fail(why: str) -> NoReturn:
        raise ValueError(f"url '{text}': {why}")

    if not isinstance(text, str):
        raise TypeError(f"expected a URL as text, such as 'localhost:3000/forward', got {text!r}")
    if not text:
        fail("it is empty")
    if text.startswith("unix:"):
        return _parse_unix(text[5:], fail)
    scheme, rest = "http", text
    if found := _SCHEME.match(text):
        scheme, rest = found[1].lower(), text[found.end():]
        if scheme not in _DEFAULT_PORT:
            fail(f"expected http, https or unix, got '{scheme}'")
    end = min((at for at in map(rest.find, "/?#") if at >= 0), default=len(rest))
    host, port = _parse_authority(rest[:end], fail)
    return Url(scheme, host, port or _DEFAULT_PORT[scheme], "", _target(rest[end:], fail))


def route_of(url: str, name: str) -> str:
    """The URL of a route of the server at `url`."""
    if url.startswith("unix:") and ":/" not in url[5:]:
        url = url.rstrip(":") + ":"
    return f"{url.rstrip('/')}/{name}"


def _parse_unix(rest: str, fail) -> Url:
    path, mark, target = rest.partition(":/")
    if mark:
        target = "/" + target
    elif rest.endswith(":"):
        path = rest[:-1]
    if not path:
        fail("the socket's path is missing")
    if "\0" in path:
        fail("the socket's path has a null character")
    return Url("unix", "", 0, path, _target(target, fail))


def _target(rest: str, fail) -> str:
    rest = rest.partition("#")[0]
    if _NOT_IN_PATH.search(rest) or not rest.isascii():
        fail("the path has a space, a control character or a letter beyond ASCII; percent-encode it")
    return rest if rest.startswith("/") else "/" + rest


def _parse_authority(part: str, fail) -> tuple[str, int]:
    if "@" in part:
        fail("names and passwords aren't taken here; send a token instead")
    if part.startswith("["):
        host, close, after = part[1:].partition("]")
        if not close:
            fail("']' is missing after the IPv6 address")
        try:
            host = str(ipaddress.IPv6Address(host))
        except ValueError:
            fail(f"'{host}' isn't an IPv6 address")
        if after and not after.startswith(":"):
            fail("expected ':' and a port after ']'")
        return host, _port(after[1:], fail)
    name, _, after = part.partition(":")
    if ":" in after:
        fail("an IPv6 address needs brackets, as in [::1]:3000")
    if not name:
        fail("the host is missing")
    if not _HOST.fullmatch(name.lower()):
        fail(f"'{name}' isn't a host name")
    return name.lower(), _port(after, fail)


def _port(digits: str, fail) -> int:
    if not digits:
        return 0
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 5 and 1 <= int(digits) <= 65535):
        fail(f"expected a port from 1 to 65535, got '{digits}'")
    return int(digits)
