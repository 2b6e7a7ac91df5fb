"""HTTP/1.1 over connections that are kept for the next request. Thread-safe."""

from __future__ import annotations

import http.client
import io
import os
import select
import socket
import ssl
import threading
import time
from dataclasses import dataclass
from email.message import Message
from functools import lru_cache
from typing import NamedTuple, NoReturn, Optional, Sequence, Union

import numpy as np

from ._safetensors import Buffer
from ._url import Url
from .errors import ConnectionFailed, ShumaiError, error_of

_CONNECT_SECONDS = 10.0
# Below the time after which servers close, so that few requests meet a connection that is just being closed.
_IDLE_SECONDS = 30.0
_MOST_IDLE_PER_SERVER = 32
MOST_BODY_BYTES = 1 << 30
_CHUNK = 1 << 16


@dataclass(frozen=True)
class Tls:
    """How ``https://`` servers are checked, and what they are shown.

    Files are PEM, and are read again when they change. ``ca`` has the
    authorities to trust instead of the system's; ``cert`` and ``key`` (without a
    passphrase) are this client's own certificate, for servers that want one;
    ``server_name`` is the name or address in the server's certificate, when it
    isn't the URL's host.
    """

    ca: Optional[str] = None
    cert: Optional[str] = None
    key: Optional[str] = None
    server_name: Optional[str] = None

    def __post_init__(self) -> None:
        if (self.cert is None) != (self.key is None):
            raise ValueError(f"tls: a certificate and its key belong together, got only {self.cert or self.key}")


TlsOption = Union[Tls, ssl.SSLContext, None]


def _context_for(tls: TlsOption) -> ssl.SSLContext:
    if isinstance(tls, ssl.SSLContext):
        return tls
    options = tls or Tls()
    files = [file for file in (options.ca, options.cert, options.key) if file]
    try:
        states = [os.stat(file) for file in files]
        return _read_context(options, tuple((state.st_mtime_ns, state.st_size, state.st_ino) for state in states))
    except OSError as error:
        raise ValueError(f"tls: {', '.join(files)}: {error.strerror or error}") from error


@lru_cache(maxsize=64)
def _read_context(tls: Tls, _state_of_files: tuple[tuple[int, int, int], ...]) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=tls.ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.hostname_checks_common_name = False
    if tls.cert:
        context.load_cert_chain(tls.cert, tls.key, password="")
    return context


class _HopelessFailure(ConnectionFailed):
    """Another attempt would fail the same way."""


def is_hopeless(error: ShumaiError) -> bool:
    return isinstance(error, _HopelessFailure)


class Response(NamedTuple):
    """A whole answer; ``body`` is writable."""

    status: int
    headers: Message
    body: Buffer


class Deadline:
    """A moment by which something has to be done; None: never."""

    def __init__(self, seconds: float | None) -> None:
        self._start = time.monotonic()
        self.end = None if seconds is None else self._start + seconds

    def left(self, most: float | None = None) -> float | None:
        """Seconds from now, at most `most`. Raises TimeoutError when none are left."""
        if self.end is None:
            return most
        left = self.end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left if most is None else min(left, most)

    def spent(self) -> float:
        return time.monotonic() - self._start


class _Input(io.RawIOBase):
    """What comes from a socket, until a deadline for all of it: one for each read would let a server drip for ever."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self.deadline = Deadline(None)
        self.paused = False
        self.started = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        if self.paused:
            return 0
        self.socket.settimeout(self.deadline.left())
        count = self.socket.recv_into(buffer)
        self.started = self.started or count > 0
        return count


class _Reader(io.BufferedReader):
    """Stays open when http.client has read a response."""

    def close(self) -> None:
        pass


class _Connection:
    """One socket, used by one thread at a time."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._input = _Input(sock)
        self._reader = _Reader(self._input)
        self.reused = False
        self.expires = 0.0

    def makefile(self, _mode: str) -> _Reader:
        """For http.client.HTTPResponse."""
        return self._reader

    def close(self) -> None:
        self._socket.close()

    def quiet(self) -> bool:
        """False for a connection that was closed, or on which something comes unasked."""
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return not poll.poll(0)

    @property
    def started(self) -> bool:
        """Whether a byte of the response has come."""
        return self._input.started

    def exchange(self, head: bytes, body: Sequence[Buffer], method: str, deadline: Deadline) -> tuple[Response, bool]:
        """Sends a request; returns its response, and whether the connection can take another."""
        self._input.deadline = deadline
        self._input.started = False
        unsent: OSError | None = None
        try:
            self._write([head, *body], deadline)
        except TimeoutError:
            raise
        except OSError as error:  # a server may refuse a request early, with an answer, and close
            unsent = error
        try:
            response = http.client.HTTPResponse(self, method=method)  # type: ignore[arg-type]
            response.begin()
            while 100 <= response.status < 200:
                if response.status == 101:
                    raise http.client.HTTPException("the server switched protocols unasked")
                response = http.client.HTTPResponse(self, method=method)  # type: ignore[arg-type]
                response.begin()
            answer = Response(response.status, response.headers, _read_body(response))
        except OSError as error:
            raise unsent or error
        return answer, unsent is None and not response.will_close and self._is_drained()

    def _write(self, pieces: list[Buffer], deadline: Deadline) -> None:
        if isinstance(self._socket, ssl.SSLSocket):
            for piece in pieces:
                self._socket.settimeout(deadline.left())
                self._socket.sendall(piece)
            return
        rest = [memoryview(piece) for piece in pieces]
        while rest:
            self._socket.settimeout(deadline.left())
            # Within the kernel's limit on the number of pieces.
            sent = self._socket.sendmsg(rest[:256])
            while rest and sent >= len(rest[0]):
                sent -= len(rest.pop(0))
            if rest:
                rest[0] = rest[0][sent:]

    def _is_drained(self) -> bool:
        """False when the server sent more than its answer."""
        self._input.paused = True
        left = self._reader.peek(1)
        self._input.paused = False
        return not left


def _read_body(response: http.client.HTTPResponse) -> Buffer:
    lengths = set(response.headers.get_all("Content-Length", []))
    if response.length is None and not response.chunked and lengths:
        raise http.client.HTTPException(f"Content-Length is {', '.join(sorted(lengths))}")
    if response.length is None:
        return _read_until_end(response)
    if len(lengths) > 1:
        raise http.client.HTTPException(f"Content-Length is {' and '.join(sorted(lengths))}")
    if response.length > MOST_BODY_BYTES:
        raise ShumaiError("too_large", f"an answer of {response.length} bytes, expected at most {MOST_BODY_BYTES}")
    # Untouched memory costs nothing until the bytes come.
    body = np.empty(response.length, np.uint8).data
    at = 0
    while at < len(body):
        count = response.readinto(body[at:])
        if not count:
            raise ConnectionResetError(f"the answer ended after {at} of {len(body)} bytes")
        at += count
    response.close()
    return body


def _read_until_end(response: http.client.HTTPResponse) -> Buffer:
    body, piece = bytearray(), memoryview(bytearray(_CHUNK))
    while count := response.readinto(piece):
        body += piece[:count]
        if len(body) > MOST_BODY_BYTES:
            raise ShumaiError("too_large", f"an answer of more than {MOST_BODY_BYTES} bytes")
    return body


class _Pool:
    """Idle connections by server and TLS options."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """After a fork: the connections are the parent's."""
        self._lock = threading.Lock()
        self._idle: dict[tuple[str, TlsOption], list[_Connection]] = {}

    def take(self, key: tuple[str, TlsOption]) -> _Connection | None:
        with self._lock:
            self._drop_expired()
            kept = self._idle.get(key, [])
            while kept:
                connection = kept.pop()
                if connection.quiet():
                    connection.reused = True
                    return connection
                connection.close()
        return None

    def put(self, key: tuple[str, TlsOption], connection: _Connection) -> None:
        connection.expires = time.monotonic() + _IDLE_SECONDS
        with self._lock:
            kept = self._idle.setdefault(key, [])
            if len(kept) >= _MOST_IDLE_PER_SERVER:
                kept.pop(0).close()
            kept.append(connection)

    def _drop_expired(self) -> None:
        now = time.monotonic()
        for key, kept in list(self._idle.items()):
            while kept and kept[0].expires <= now:
                kept.pop(0).close()
            if not kept:
                del self._idle[key]


_pool = _Pool()
os.register_at_fork(after_in_child=_pool.forget)


def _connect(url: Url, tls: TlsOption, deadline: Deadline) -> _Connection:
    seconds = deadline.left(_CONNECT_SECONDS)
    if url.scheme == "unix":
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.settimeout(seconds)
            sock.connect(url.socket_path)
        except BaseException:
            sock.close()
            raise
        return _Connection(sock)
    context = _context_for(tls) if url.scheme == "https" else None
    sock = socket.create_connection((url.host, url.port), timeout=seconds)
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context:
            name = tls.server_name if isinstance(tls, Tls) and tls.server_name else url.host
            sock.settimeout(deadline.left(_CONNECT_SECONDS))
            sock = context.wrap_socket(sock, server_hostname=name)
    except BaseException:
        sock.close()
        raise
    return _Connection(sock)


class Progress:
    """How far a request came."""

    may_have_arrived = False


def send(
    url: Url, method: str, head: bytes, body: Sequence[Buffer], *, tls: TlsOption, deadline: Deadline,
    repeatable: bool, progress: Progress,
) -> Response:
    """The response, whatever its status. Raises ShumaiError: "connection", "timeout", "protocol", "too_large".

    A repeatable request is sent again, once, on a fresh connection when a kept
    one dies before the response begins.
    """
    key = (url.origin, tls)
    connection = _pool.take(key)
    while True:
        if connection is None:
            connection = _open(url, tls, deadline)
        progress.may_have_arrived = True
        try:
            response, reusable = connection.exchange(head, body, method, deadline)
        except BaseException as error:
            connection.close()
            died = isinstance(error, OSError) and not isinstance(error, TimeoutError)
            if died and repeatable and connection.reused and not connection.started:
                connection = None
                continue
            _raise_as_ours(error, url, deadline)
        if reusable:
            _pool.put(key, connection)
        else:
            connection.close()
        return response


def _open(url: Url, tls: TlsOption, deadline: Deadline) -> _Connection:
    try:
        return _connect(url, tls, deadline)
    except TimeoutError:
        raise error_of("timeout", f"{url.origin}: no connection after {deadline.spent() * 1000:.0f} ms") from None
    except ssl.SSLCertVerificationError as error:
        raise _HopelessFailure("connection", f"{url.origin}: its certificate: {error.verify_message}") from error
    except OSError as error:
        hint = " (is a server running there?)" if isinstance(error, ConnectionRefusedError) else ""
        raise error_of("connection", f"{url.origin}: can't connect: {error.strerror or error}{hint}") from error


def _raise_as_ours(error: BaseException, url: Url, deadline: Deadline) -> NoReturn:
    if isinstance(error, TimeoutError):
        spent = deadline.spent() * 1000
        raise error_of("timeout", f"{url.origin}: no complete answer after {spent:.0f} ms") from None
    if isinstance(error, ssl.SSLError) and "ALERT" in (error.reason or ""):
        # With TLS 1.3 a server says what it thinks of a client's certificate after the handshake.
        raise _HopelessFailure("connection", f"{url.origin}: the server refuses: {error.reason}") from error
    if isinstance(error, (OSError, http.client.IncompleteRead)):
        raise error_of("connection", f"{url.origin}: the connection broke: {error}") from error
    if isinstance(error, http.client.HTTPException):
        raise error_of("protocol", f"{url.origin}: the answer isn't HTTP: {error}") from error
    if isinstance(error, ShumaiError):
        raise error_of(error.code, f"{url.origin}: {error}") from None
    raise error
