"""Requests that are tried again, with what ties them to each other: sessions, tickets, traces."""

from __future__ import annotations

import json
import logging
import math
import random
import re
import ssl
import threading
import time
from dataclasses import dataclass, field
from typing import Any, Iterator, Mapping, NamedTuple, NoReturn, Optional, Sequence, Union

from . import _safetensors
from ._connection import MOST_BODY_BYTES, Deadline, Progress, Response, Tls, TlsOption, is_hopeless, send
from ._safetensors import Buffer, Part
from ._trace import next_traceparent
from ._url import Url, parse_url
from ._zstd import compress, decompress, is_available
from .errors import ShumaiError, code_of_status, error_of, status_of_code

_log = logging.getLogger("shumai")

_SAFETENSORS = "application/x-safetensors"
# How long a server is waited for that hasn't answered yet.
_FIRST_CONTACT_SECONDS = 5.0
_FIRST_WAIT, _LONGEST_WAIT = 0.025, 2.0
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_TOKEN = re.compile(r"[\x21-\x7e]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


@dataclass(frozen=True)
class Ticket:
    """What ties a gradient to the forward that it belongs to.

    A server mints one for each answer that it keeps something for. A request
    with a ticket runs once, however often it is sent.
    """

    id: str = field(repr=False)
    session: str = field(repr=False)
    origin: str
    trace: str = field(repr=False)


@dataclass(frozen=True)
class Options:
    """What all requests of one caller have in common; see tfetch."""

    token: Optional[str] = None
    timeout: Optional[float] = 60.0
    retry_for: float = 10.0
    headers: Optional[Mapping[str, str]] = None
    tls: TlsOption = None
    traceparent: Optional[str] = None
    compress: Optional[str] = None

    def __post_init__(self) -> None:
        if self.compress not in (None, "zstd"):
            raise ValueError(f"compress: expected \"zstd\" or None, got {self.compress!r}")
        if self.compress and not is_available():
            raise ValueError("compress: zstd needs Python 3.14 or the package zstandard")
        for name in ("timeout", "retry_for"):
            seconds = getattr(self, name)
            if (seconds is None and name == "timeout") or _is_time(seconds):
                continue
            raise ValueError(f"{name}: expected seconds, 0 or more, got {seconds!r}")
        if self.tls is not None and not isinstance(self.tls, (Tls, ssl.SSLContext)):
            raise TypeError(f"tls: expected shumai.Tls or ssl.SSLContext, got {type(self.tls).__name__}")


def _is_time(seconds: Any) -> bool:
    return isinstance(seconds, (int, float)) and not isinstance(seconds, bool) and 0 <= seconds < math.inf


class Answer(NamedTuple):
    """Tensors, or JSON, or (both None) nothing."""

    parts: Optional[list[Part]]
    json: Any
    ticket: Optional[Ticket]


class _Sessions:
    """The sessions that servers gave this process, by server and authorization."""

    _MOST = 10_000

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._of: dict[tuple[str, Optional[str]], str] = {}

    def find(self, key: tuple[str, Optional[str]]) -> str | None:
        return self._of.get(key)

    def remember(self, key: tuple[str, Optional[str]], session: str) -> None:
        if self._of.get(key) == session:
            return
        with self._lock:
            if len(self._of) >= self._MOST:
                self._of.clear()
            self._of[key] = session


_sessions = _Sessions()


def fetch(
    url: str, parts: Sequence[Part] | None, options: Options, *, ticket: Ticket | None = None, repeatable: bool = False,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Sends tensors, or nothing, to a route. `ticket` goes along when it is of that server."""
    where = parse_url(url)
    if options.tls is not None and where.scheme != "https":
        raise ValueError(f"{where}: options for TLS need a URL with https://")
    if ticket is not None and ticket.origin != where.origin:
        ticket = None
    body: list[Buffer] = [] if parts is None else _safetensors.encode(parts)
    fields = _Fields()
    fields.set("Accept", f"{_SAFETENSORS}, application/json;q=0.5")
    if parts is not None:
        fields.set("Content-Type", _SAFETENSORS)
    if options.compress:
        fields.set("Accept-Encoding", "zstd")
        body = _compressed(body, fields)
    _add_token(fields, where, options.token)
    fields.set("traceparent", next_traceparent(options.traceparent or (ticket.trace if ticket else None)))
    for name, value in {**(options.headers or {}), **(headers or {})}.items():
        fields.set(name, value)
    request = _Request(where, "GET" if parts is None else "POST", body, fields)
    _add_session(request, ticket)
    response = _send_patiently(request, options, repeatable or bool(ticket) or parts is None)
    return _read(response, request)


class _Fields:
    """Headers; the case of a name doesn't matter."""

    def __init__(self) -> None:
        self._fields: dict[str, tuple[str, str]] = {}

    def set(self, name: str, value: str) -> None:
        self._fields[name.lower()] = (name, value)

    def get(self, name: str) -> str | None:
        return self._fields.get(name.lower(), ("", None))[1]

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._fields.values())


def _compressed(body: list[Buffer], fields: _Fields) -> list[Buffer]:
    """The body, coded where that makes it smaller."""
    plain = b"".join(body)
    packed = compress(plain)
    if len(packed) >= len(plain):
        return body
    fields.set("Content-Encoding", "zstd")
    return [packed]


_warned_of: set[str] = set()


def _add_token(fields: _Fields, url: Url, token: str | None) -> None:
    if token is None:
        return
    if not _TOKEN.fullmatch(token):
        raise ValueError("token: expected visible ASCII characters only")
    fields.set("Authorization", f"Bearer {token}")
    if url.scheme == "http" and not url.is_loopback and url.origin not in _warned_of and len(_warned_of) < 1000:
        _warned_of.add(url.origin)
        _log.warning("the token goes to %s unencrypted, and anyone on the way can read it", url.origin)


def _add_session(request: _Request, ticket: Ticket | None) -> None:
    fields = request.headers
    # First requests sent together get a session each: a ticket goes back with the one that it belongs to.
    session = ticket.session if ticket else _sessions.find(request.account)
    # Without one, all who use a token would share its own.
    if not session and fields.get("Authorization"):
        session = "new"
    if session and fields.get("Shumai-Session") is None:
        fields.set("Shumai-Session", session)
    if ticket:
        fields.set("Shumai-Ticket", ticket.id)


@dataclass
class _Request:
    url: Url
    method: str
    body: Sequence[Buffer]
    headers: _Fields

    @property
    def account(self) -> tuple[str, str | None]:
        """Who the request is from, to its server: sessions belong to tokens."""
        return self.url.origin, self.headers.get("Authorization")

    def head(self, seconds_left: float | None) -> bytes:
        lines = [f"{self.method} {self.url.target} HTTP/1.1", f"Host: {self.url.host_header}"]
        if self.body:
            lines.append(f"Content-Length: {sum(map(len, self.body))}")
        if seconds_left is not None:
            lines.append(f"Shumai-Timeout: {max(1, int(seconds_left * 1000))}")
        for name, value in self.headers:
            if not _HEADER_NAME.fullmatch(name) or not isinstance(value, str) or not _HEADER_VALUE.fullmatch(value):
                raise ValueError(f"headers: {name!r} with the value {_shown(name, value)} can't be sent")
            lines.append(f"{name}: {value}")
        return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _shown(name: str, value: Any) -> str:
    return "(not shown)" if name.lower() == "authorization" else repr(value)


# --- Attempts ---


class _Backoff:
    """How long to wait before the next of several attempts."""

    def __init__(self) -> None:
        self.tries = 0

    def next(self, asked_for: float) -> float:
        most = min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** min(self.tries, 10))
        self.tries += 1
        return asked_for + random.uniform(most / 2, most)


# What came of an attempt.
_Outcome = Union[Response, ShumaiError]


def _retry_after(outcome: _Outcome) -> float:
    """Retry-After in seconds; its other form, a date, counts as not given."""
    text = "" if isinstance(outcome, ShumaiError) else (outcome.headers.get("Retry-After") or "").strip()
    return min(int(text), 3600) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def _is_worth_another(outcome: _Outcome, arrived: bool, repeatable: bool) -> bool:
    if isinstance(outcome, ShumaiError):
        return outcome.code == "connection" and (repeatable or not arrived) and not is_hopeless(outcome)
    if outcome.status in (429, 503):
        return True
    # A server of ours says its own 502 or 504 for good; a gateway before it may get through next time.
    return repeatable and outcome.status in (502, 504) and not _is_problem(outcome)


def _send_patiently(request: _Request, options: Options, repeatable: bool) -> Response:
    """The response, whatever its status, of the last attempt."""
    deadline = Deadline(options.timeout or None)
    backoff = _Backoff()
    url = request.url
    while True:
        progress = Progress()
        outcome: _Outcome
        try:
            head = request.head(deadline.left())
            outcome = send(
                url, request.method, head, request.body, tls=options.tls, deadline=deadline, repeatable=repeatable,
                progress=progress)
        except ShumaiError as error:
            outcome = error
        except TimeoutError:
            outcome = error_of("timeout", f"{url.origin}: no answer after {deadline.spent() * 1000:.0f} ms")
        if not _is_worth_another(outcome, progress.may_have_arrived, repeatable):
            break
        wait = backoff.next(_retry_after(outcome))
        if deadline.spent() + wait > _patience(request, options):
            break
        if backoff.tries == 1:
            said = outcome if isinstance(outcome, ShumaiError) else f"{url.origin} answered {outcome.status}"
            _log.warning("%s; trying again", said)
        time.sleep(wait)
    if isinstance(outcome, ShumaiError):
        raise outcome
    return outcome


def _patience(request: _Request, options: Options) -> float:
    # One that never answered isn't coming back: its address may be wrong.
    known = _sessions.find(request.account)
    most = options.retry_for if known else min(options.retry_for, _FIRST_CONTACT_SECONDS)
    return min(most, options.timeout) if options.timeout else most


# --- Answers ---


def _media_type(response: Response) -> str:
    return (response.headers.get("Content-Type") or "").partition(";")[0].strip().lower()


def _is_problem(response: Response) -> bool:
    return _media_type(response) == "application/problem+json"


def _read(response: Response, request: _Request) -> Answer:
    origin = request.url.origin
    session = response.headers.get("Shumai-Session")
    if session and _HEADER_VALUE.fullmatch(session):
        _sessions.remember(request.account, session)
    response = _decoded(response, request.url)
    if not 200 <= response.status < 300:
        _raise_answer(response, request.url)
    if not len(response.body):
        return Answer(None, None, None)
    type_ = _media_type(response)
    try:
        if type_ == "application/json":
            return Answer(None, json.loads(bytes(response.body)), None)
        if type_ != _SAFETENSORS:
            got = f"\"{type_[:80]}\"" if type_ else "none"
            raise ShumaiError("unsupported_media", f"expected {_SAFETENSORS} or application/json, got {got}")
        parts = _safetensors.decode(response.body)
    except ShumaiError as error:
        raise error_of(error.code, f"{request.url} answered what can't be read: {error}") from None
    except (ValueError, RecursionError) as error:
        raise error_of("protocol", f"{request.url} answered what can't be read: {error}") from None
    id_ = response.headers.get("Shumai-Ticket")
    if not id_ or not _HEADER_VALUE.fullmatch(id_):
        return Answer(parts, None, None)
    return Answer(parts, None, Ticket(id_, session or "", origin, request.headers.get("traceparent") or ""))


def _decoded(response: Response, url: Url) -> Response:
    coding = (response.headers.get("Content-Encoding") or "identity").strip().lower()
    if coding == "identity":
        return response
    if coding != "zstd":
        raise ShumaiError(
            "unsupported_media", f"{url} answered with the Content-Encoding \"{coding[:80]}\", expected zstd")
    try:
        return response._replace(body=decompress(response.body, MOST_BODY_BYTES))
    except ShumaiError as error:
        raise error_of(error.code, f"{url}: {error}") from None


def _raise_answer(response: Response, url: Url) -> NoReturn:
    """A server's error as ours, with its message and code where it says them."""
    code, message = code_of_status(response.status), f"{url} answered {response.status}"
    if _is_problem(response):
        try:
            problem = json.loads(bytes(response.body))
        except (ValueError, RecursionError):  # not what it claims to be: the status has to do
            problem = None
        if isinstance(problem, dict):
            said, detail = problem.get("code"), problem.get("detail")
            if isinstance(said, str) and status_of_code(said) == response.status:
                code = said
            if isinstance(detail, str):
                message = detail
    raise error_of(code, message, response.status)
