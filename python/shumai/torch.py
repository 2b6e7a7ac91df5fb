"""The same for PyTorch: ``loss.backward()`` trains models that live behind servers.

Importing it needs PyTorch 1.13 or later.
"""

from __future__ import annotations

from typing import Any, Callable, Mapping, Optional

import numpy as np
import torch
from torch.autograd.function import once_differentiable

from ._array import GradContext, from_answer, from_part, gradient_ticket
from ._connection import TlsOption
from ._fetch import check_one, ticket_of
from ._fetch import tfetch as tfetch
from ._model import Report, Routes, Step
from ._requests import Options, fetch
from ._safetensors import Part

__all__ = ["RemoteModel", "remote_model", "tfetch"]

_NAMES = {
    "BOOL": "bool", "U8": "uint8", "I8": "int8", "I16": "int16", "U16": "uint16", "I32": "int32", "U32": "uint32",
    "I64": "int64", "U64": "uint64", "F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64",
}
# PyTorch has unsigned integers since 2.3.
_DTYPE_OF_CODE = {code: getattr(torch, name) for code, name in _NAMES.items() if hasattr(torch, name)}
_CODE_OF_DTYPE = {dtype: code for code, dtype in _DTYPE_OF_CODE.items()}


def _to_part(tensor: torch.Tensor, name: str = "0", *, own: bool = False) -> Part:
    code = _CODE_OF_DTYPE.get(tensor.dtype)
    if code is None or tensor.layout != torch.strided:
        raise TypeError(f"expected a dense tensor of numbers or booleans, got {tensor.dtype}, {tensor.layout}")
    flat = tensor.detach().cpu().resolve_neg().reshape(-1)
    if flat.numel() == 0:
        return Part(name, code, tuple(tensor.shape), b"")
    if tensor.dtype == torch.bfloat16:  # which NumPy lacks
        flat = flat.view(torch.int16)
    array = flat.contiguous().numpy()
    return Part(name, code, tuple(tensor.shape), memoryview(array.copy() if own else array).cast("B"))


def _from_part(part: Part) -> torch.Tensor:
    dtype = _DTYPE_OF_CODE.get(part.dtype)
    if dtype is None:
        raise TypeError(f"PyTorch {torch.__version__} has no {_NAMES[part.dtype]}, which tensor \"{part.name}\" is of")
    # Never a view: autograd lets nobody change in place what a Function returned as one.
    if not len(part.data):
        return torch.empty(part.shape, dtype=dtype)
    if dtype == torch.bfloat16:
        return torch.frombuffer(part.data, dtype=dtype).reshape(part.shape).clone()
    return torch.from_numpy(from_part(part).view(np.ndarray))


def takes(value: Any) -> bool:
    """Whether tfetch is to answer with tensors."""
    if isinstance(value, Mapping):
        return any(isinstance(tensor, torch.Tensor) for tensor in value.values())
    return isinstance(value, torch.Tensor)


def fetch_tensors(
    url: str, input: Any, grad_fn: Optional[Callable[[GradContext], Any]], ticket: Any, repeatable: bool,
    options: Options,
) -> Any:
    """shumai.tfetch of tensors. Answers are on the CPU."""
    tensors = input if isinstance(input, Mapping) else {"0": input}
    parts = [_to_part(torch.as_tensor(tensor), name) for name, tensor in tensors.items()]
    answer = from_answer(
        fetch(url, parts, options, ticket=ticket_of(ticket, url) or gradient_ticket(input),
              repeatable=repeatable or grad_fn is not None), _from_part)
    if grad_fn is None:
        return answer
    check_one(url, answer, torch.Tensor)
    if not torch.is_grad_enabled() or not answer.is_floating_point():
        return answer
    ticket, context_output, inputs = answer.ticket, answer.detach(), tuple(tensors.values())

    send = grad_fn

    def backward(gradient: torch.Tensor) -> Any:
        gradient._gradient_of = ticket  # type: ignore[attr-defined]
        return send(GradContext(gradient, context_output, tuple(each.detach() for each in inputs)))

    output = _Remote.apply((answer,), backward, _anchor(), *inputs)
    output.ticket = ticket
    return output


def _anchor() -> torch.Tensor:
    """An input that requires gradients, so that the backward pass comes by in any case."""
    return torch.empty(0, requires_grad=True)


class _Remote(torch.autograd.Function):
    """An answer as a function of its inputs, whose gradient `backward` finds.

    The answer comes in a tuple: as an argument it would make the output a view, which can't be changed in place.
    """

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, answer: tuple[torch.Tensor], backward: Callable[[torch.Tensor], Any], _: torch.Tensor, *inputs: Any
    ) -> torch.Tensor:
        ctx.remote_backward = backward
        ctx.inputs_are = [(tensor.dtype, tensor.device, tensor.shape) for tensor in inputs]
        return answer[0]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> Any:
        found = ctx.remote_backward(gradient.detach())
        found = list(found) if isinstance(found, (tuple, list)) else [found]
        found += [None] * (len(ctx.inputs_are) - len(found))
        return (None, None, None, *map(_as_gradient, found, ctx.inputs_are))


def _as_gradient(found: Any, like: Any) -> Optional[torch.Tensor]:
    dtype, device, shape = like
    if found is None or not dtype.is_floating_point:
        return None
    if found.shape != shape:
        raise ValueError(f"the gradient of an input has the shape {list(found.shape)}, expected {list(shape)}")
    return found.to(device=device, dtype=dtype)


class RemoteModel(torch.nn.Module):
    """A served model as a module without parameters of its own: its weights live, and move, on the server.

    ``loss.backward()`` sends the gradient of each answer to the server, which
    moves its weights, and takes the gradient of the input from there, so that
    modules below and above train with optimizers of their own. One backward of
    one answer is one step; a failing one raises ShumaiError out of
    ``backward()``. Nothing is sent for answers computed under ``no_grad``.

    Thread-safe: any number of forwards may be in flight.
    """

    def __init__(self, routes: Routes) -> None:
        super().__init__()
        self._routes = routes
        self._report = Report()

    def report(self, loss: float, step: Optional[int] = None) -> None:
        """Has the next gradient tell the server the loss, and at which step, for its dashboard.

        Call it before ``loss.backward()``: ``model.report(loss.item(), step)``.
        """
        self._report.set(loss, step)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """The model's answer, on the device of `input`; the gradient has the dtype and the device of `input`.

        `input` may be changed afterwards: a copy is kept until the backward.
        """
        if not isinstance(input, torch.Tensor):
            raise TypeError(f"remote_model: expected a torch.Tensor, got {type(input).__name__}")
        records = torch.is_grad_enabled()
        step = Step(self._routes, _to_part(input, own=records), records and input.requires_grad)
        answer = _from_part(step.forward())
        if not records or not answer.is_floating_point():
            return answer.to(input.device)

        def backward(gradient: torch.Tensor) -> Optional[torch.Tensor]:
            part = step.backward(_to_part(gradient), self._report.take())
            return None if part is None else _from_part(part)

        return _Remote.apply((answer.to(input.device),), backward, _anchor(), input)

    def extra_repr(self) -> str:
        return self._routes.forward


def remote_model(
    url: str,
    *,
    backward_url: Optional[str] = None,
    token: Optional[str] = None,
    backward_token: Optional[str] = None,
    timeout: Optional[float] = 60.0,
    retry_for: float = 60.0,
    headers: Optional[Mapping[str, str]] = None,
    tls: TlsOption = None,
    traceparent: Optional[str] = None,
    compress: Optional[str] = None,
) -> RemoteModel:
    """A model behind a server as a ``torch.nn.Module``; the arguments are those of ``shumai.remote_model``.

    Dtypes: all that PyTorch and the wire share, float16 and bfloat16 included.
    """
    options = Options(token, timeout, retry_for, headers, tls, traceparent, compress)
    return RemoteModel(Routes(url, backward_url, backward_token, options))
