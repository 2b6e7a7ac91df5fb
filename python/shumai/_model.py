"""A model behind a server as if it were a local function."""

from __future__ import annotations

import operator
import time
from collections import deque
from dataclasses import replace
from typing import Deque, Dict, Mapping, Optional

from numpy.typing import ArrayLike

from ._array import Array, from_part, tag, to_part
from ._connection import TlsOption
from ._requests import Answer, Options, Ticket, fetch
from ._safetensors import Part
from ._url import parse_url, route_of
from .errors import ShumaiError, error_of

# How a client says that it has no use for the gradient of its input.
_NO_INPUT_GRADIENT = {"Shumai-Input-Gradient": "none"}


class Routes:
    """Where a model's forwards and gradients go."""

    def __init__(
        self, url: str, backward_url: Optional[str], backward_token: Optional[str], options: Options
    ) -> None:
        self.forward = route_of(url, "forward")
        self.backward = backward_url or route_of(url, "optimize")
        self.options = options
        # A token is for the server that it was given for.
        if backward_token is None and parse_url(self.backward).origin == parse_url(self.forward).origin:
            backward_token = options.token
        self.backward_options = replace(options, token=backward_token)


class Step:
    """One forward and its gradient. Used by one thread at a time."""

    def __init__(self, routes: Routes, input: Part, wants_gradient: bool) -> None:
        self._routes = routes
        self._input: Optional[Part] = input  # kept until the step is taken
        self._wants_gradient = wants_gradient
        self.ticket: Optional[Ticket] = None

    def forward(self) -> Part:
        """The model's answer."""
        assert self._input is not None
        headers = None if self._wants_gradient else _NO_INPUT_GRADIENT
        answer = fetch(self._routes.forward, [self._input], self._routes.options, repeatable=True, headers=headers)
        self.ticket = answer.ticket
        return _one(answer, self._routes.forward)

    def backward(self, gradient: Part, headers: Optional[Mapping[str, str]] = None) -> Optional[Part]:
        """Takes the step, after another forward where the server forgot the first; gives the gradient of the input."""
        if self._input is None:
            raise RuntimeError("backward: the step was taken; a remote model has one backward for each forward")
        give_up = time.monotonic() + self._routes.options.retry_for
        while True:
            try:
                answer = fetch(self._routes.backward, [gradient], self._routes.backward_options, ticket=self.ticket,
                               headers=headers)
                break
            except ShumaiError as error:
                if error.code == "already_done" and not self._wants_gradient:
                    answer = Answer(None, None, None)  # only the answer is lost, which nobody needs
                    break
                # These say that no step was taken, and that none will be under this ticket.
                if error.code not in ("gone", "stale") or time.monotonic() > give_up:
                    raise
            output = self.forward()
            if output.shape != gradient.shape:
                raise error_of(
                    "shape_mismatch", f"{self._routes.forward} answered the shape {list(output.shape)} when the "
                    f"forward was repeated, expected {list(gradient.shape)}")
        self._input = None
        return None if answer.parts is None else _one(answer, self._routes.backward)


class Report:
    """What a client last said of its loss, for the next gradient. Thread-safe."""

    def __init__(self) -> None:
        self._last: Deque[Dict[str, str]] = deque(maxlen=1)  # which can be copied, unlike a lock

    def set(self, loss: float, step: Optional[int]) -> None:
        headers = {"Shumai-Loss": repr(float(loss))}
        if step is not None:
            if operator.index(step) < 0:
                raise ValueError(f"report: step must be 0 or more, got {step}")
            headers["Shumai-Step"] = str(operator.index(step))
        self._last.append(headers)

    def take(self) -> Dict[str, str]:
        try:
            return self._last.popleft()
        except IndexError:
            return {}


def _one(answer: Answer, url: str) -> Part:
    if answer.parts is None or len(answer.parts) != 1:
        got = "no tensor" if answer.parts is None else f"{len(answer.parts)} tensors"
        raise error_of("protocol", f"{url} answered {got}, expected one")
    return answer.parts[0]


class RemoteModel:
    """A served model as a function of an array: ``y = model(x)``, then ``model.backward(y, jacobian)``.

    Thread-safe: any number of forwards may be in flight, each finds its own
    graph and weights again when its gradient comes back.
    """

    def __init__(self, routes: Routes, input_gradient: bool) -> None:
        self._routes = routes
        self._input_gradient = input_gradient
        self._report = Report()

    def report(self, loss: float, step: Optional[int] = None) -> None:
        """Has the next gradient tell the server the loss, and at which step, for its dashboard."""
        self._report.set(loss, step)

    def __call__(self, input: ArrayLike) -> Array:
        """The model's answer for `input`, which may be changed afterwards: a copy is kept until the backward."""
        step = Step(self._routes, to_part(input, own=True), self._input_gradient)
        output = from_part(step.forward())

        def backward(gradient: Array) -> Optional[Array]:
            part = step.backward(to_part(gradient), self._report.take())
            return None if part is None else from_part(part)

        output._backward = backward
        return tag(output, step.ticket)

    def backward(self, output: Array, jacobian: Optional[ArrayLike] = None) -> Optional[Array]:
        """Trains the model: sends the gradient of an answer back, and returns the gradient of its input.

        `jacobian` has the shape of `output` and is cast to its dtype. None comes back for an integer input, and from a
        model without `input_gradient`. Raises ShumaiError, after which the call may be repeated, and RuntimeError for
        a second backward of one answer.
        """
        if not isinstance(output, Array):
            raise TypeError(f"backward: expected an answer of the model, got {type(output).__name__}")
        return output.backward(jacobian)


def remote_model(
    url: str,
    *,
    backward_url: Optional[str] = None,
    input_gradient: bool = True,
    token: Optional[str] = None,
    backward_token: Optional[str] = None,
    timeout: Optional[float] = 60.0,
    retry_for: float = 60.0,
    headers: Optional[Mapping[str, str]] = None,
    tls: TlsOption = None,
    traceparent: Optional[str] = None,
    compress: Optional[str] = None,
) -> RemoteModel:
    """A model behind a server (its routes /forward and /optimize) as if it were a local function.

    When the server has forgotten a forward by the time of its gradient (it was restarted, say, or finds it stale), the
    forward is repeated with the input, which is kept for that, and the gradient goes to the new one: training goes on
    without an error, and no step is taken twice.

    Args:
        url: of the server, without a route.
        backward_url: where gradients go; None: ``url`` + ``/optimize``.
        input_gradient: whether backward() is to return the gradient of the input. False saves the server its work.
        backward_token: for ``backward_url``; None: ``token`` when it is on the same server, else none.
        retry_for: seconds that a server may take to come back.

    The rest is as in ``tfetch``. For PyTorch there is ``shumai.torch.remote_model``.
    """
    options = Options(token, timeout, retry_for, headers, tls, traceparent, compress)
    return RemoteModel(Routes(url, backward_url, backward_token, options), input_gradient)


