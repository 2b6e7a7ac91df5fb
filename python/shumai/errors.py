"""What goes wrong, as exceptions."""

from __future__ import annotations

from typing import Final

# The first name of a status is what an answer without a code of its own gets.
_STATUS_OF_CODE: Final = {
    "invalid_argument": 400,
    "shape_mismatch": 400,
    "dtype_mismatch": 400,
    "out_of_range": 400,
    "protocol": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "not_acceptable": 406,
    "conflict": 409,
    "stale": 409,
    "already_done": 409,
    "gone": 410,
    "too_large": 413,
    "unsupported_media": 415,
    "unprocessable": 422,
    "too_many_requests": 429,
    "headers_too_large": 431,
    "internal": 500,
    "unavailable": 503,
    "timeout": 504,
    "loop": 508,
    "connection": 502,
    "cancelled": 499,
}


def status_of_code(code: str) -> int:
    """The HTTP status of a code; 500 for an unknown one."""
    return _STATUS_OF_CODE.get(code, 500)


def code_of_status(status: int) -> str:
    """The code of an answer that says no more than its status."""
    for code, its_status in _STATUS_OF_CODE.items():
        if its_status == status:
            return code
    return "invalid_argument" if 400 <= status < 500 else "internal"


class ShumaiError(Exception):
    """A request failed for good. The message is the server's where it said one.

    ``code`` is a stable name such as ``"shape_mismatch"``, ``status`` the HTTP
    status. A connection that could not be had, or broke, is a ``ConnectionFailed``
    (``"connection"``); an answer that did not come in time is a ``TimedOut``
    (``"timeout"``); bytes that are no proper answer have the code ``"protocol"``.
    """

    code: str
    status: int

    def __init__(self, code: str, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.status = status_of_code(code) if status is None else status

    def __reduce__(self) -> tuple[type[ShumaiError], tuple[str, str, int]]:
        return type(self), (self.code, str(self), self.status)


class ConnectionFailed(ShumaiError, ConnectionError):
    """No connection could be made, or it broke before the answer was complete."""


class TimedOut(ShumaiError, TimeoutError):
    """No complete answer within the timeout."""


def error_of(code: str, message: str, status: int | None = None) -> ShumaiError:
    """The exception for a code."""
    kind = {"connection": ConnectionFailed, "timeout": TimedOut}.get(code, ShumaiError)
    return kind(code, message, status)
