"""tfetch for NumPy, and for PyTorch where its tensors come."""

from __future__ import annotations

import sys
from typing import Any, Callable, Mapping, Optional

from ._array import Array, GradContext, from_answer, gradient_ticket, to_parts
from ._connection import TlsOption
from ._requests import Options, Ticket, fetch


def tfetch(
    url: str,
    input: Any = None,
    *,
    ticket: Any = None,
    grad_fn: Optional[Callable[[GradContext], Any]] = None,
    token: Optional[str] = None,
    timeout: Optional[float] = 60.0,
    retry_for: float = 10.0,
    repeatable: bool = False,
    headers: Optional[Mapping[str, str]] = None,
    tls: TlsOption = None,
    traceparent: Optional[str] = None,
    compress: Optional[str] = None,
) -> Any:
    """Sends an array, a dict of named arrays, or nothing to a route, and returns what it answers.

    Args:
        url: ``host:port/route``, ``http://``, ``https://`` or ``unix:/path/to/socket:/route``.
        input: anything that ``numpy.asarray`` takes, of a boolean, integer or floating dtype and any shape; a dict of
            these; or a ``torch.Tensor``, or a dict of them, for which the answer is one too.
        ticket: the answer, or its ``.ticket``, that this request goes with. A gradient made by ``answer.gradient()``
            or given to a ``grad_fn`` needs none: it carries its own.
        grad_fn: gets a GradContext when ``answer.backward(jacobian)`` is called (with PyTorch: when a backward pass
            comes by), sends ``grad_in`` on, and may return the gradient of the input.
        token: sent as ``Authorization: Bearer``.
        timeout: seconds from the call to its end, retries included; None or 0: no limit.
        retry_for: for how many seconds failures that another attempt may cure are retried: the server can't be
            reached, or answers 429 or 503; and, where a repetition does no harm, the connection breaks or a gateway
            answers 502 or 504. Waits double from 25 ms to 2 s, with jitter, after what ``Retry-After`` asks for. A
            server that never answered this process is waited for 5 s at most.
        repeatable: running the request twice does no harm. True in any case of one with a ticket, which runs once, of
            one without an input, and of one with a grad_fn.
        headers: further ones.
        tls: a ``shumai.Tls`` or an ``ssl.SSLContext``, for ``https://``.
        traceparent: the trace that this request is a part of; the backward of its answer will be, too.
        compress: "zstd", for slow networks: compresses a body that gets smaller by it, and asks for the same of the
            answer. Needs Python 3.14 or the package zstandard.

    Returns:
        An ``Array`` (an ndarray that remembers its ticket); a dict of them from a route that answers named tensors;
        the parsed JSON of one that answers JSON; None from one that answers nothing. Arrays share the memory of the
        message and may be written to.

    Raises:
        ShumaiError: with the server's message and code, or ``ConnectionFailed`` and ``TimedOut``.
        ValueError, TypeError: for arguments that can't be used.

    Thread-safe, and made for many threads: each request in flight has a connection of its own.
    """
    options = Options(token, timeout, retry_for, headers, tls, traceparent, compress)
    if "torch" in sys.modules:
        from . import torch as with_torch

        if with_torch.takes(input):
            return with_torch.fetch_tensors(url, input, grad_fn, ticket, repeatable, options)
    answer = from_answer(fetch(
        url, to_parts(input), options, ticket=ticket_of(ticket, url) or gradient_ticket(input),
        repeatable=repeatable or grad_fn is not None))
    if grad_fn is not None:
        check_one(url, answer, Array)
        inputs = () if input is None else (input,)
        # Without the answer itself, which would be a cycle.
        output = answer.view()
        answer._backward = lambda gradient: grad_fn(GradContext(gradient, output, inputs))
    return answer


def ticket_of(given: Any, url: str) -> Ticket | None:
    """What a `ticket` argument means. Raises ValueError when there is none, or another server's."""
    from ._url import parse_url

    if given is None:
        return None
    ticket = given if isinstance(given, Ticket) else getattr(given, "ticket", None)
    if not isinstance(ticket, Ticket):
        raise ValueError(f"ticket: expected an answer with a ticket, got {type(given).__name__} without one")
    if ticket.origin != parse_url(url).origin:
        raise ValueError(f"ticket: it is of {ticket.origin}, the request goes to {parse_url(url).origin}")
    return ticket


def check_one(url: str, answer: Any, kind: type) -> None:
    if not isinstance(answer, kind):
        got = "nothing" if answer is None else type(answer).__name__
        raise ValueError(f"tfetch: grad_fn needs a route that answers one tensor, {url} answered {got}")
