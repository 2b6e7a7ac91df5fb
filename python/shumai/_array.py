"""NumPy arrays that remember which answer they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Mapping, Optional

import numpy as np
from numpy.typing import ArrayLike

from ._requests import Answer, Ticket
from ._safetensors import Part

_DTYPE_OF_CODE = {
    "BOOL": np.dtype("?"), "U8": np.dtype("u1"), "I8": np.dtype("i1"), "I16": np.dtype("<i2"), "U16": np.dtype("<u2"),
    "I32": np.dtype("<i4"), "U32": np.dtype("<u4"), "I64": np.dtype("<i8"), "U64": np.dtype("<u8"),
    "F16": np.dtype("<f2"), "F32": np.dtype("<f4"), "F64": np.dtype("<f8"),
}
_CODE_OF_DTYPE = {dtype: code for code, dtype in _DTYPE_OF_CODE.items()}


@dataclass(frozen=True)
class GradContext:
    """What a grad_fn gets."""

    grad_in: Any  # the gradient of the output, which carries the output's ticket
    output: Any  # shares the answer's memory
    inputs: tuple[Any, ...]


class Array(np.ndarray):
    """An answer: an ndarray, of any shape and dtype, that remembers its ticket.

    What is computed from it is a plain ndarray; views and copies are Arrays
    without a ticket. NumPy has no bfloat16, so such an answer comes as float32
    (exactly); its gradient goes back as bfloat16.
    """

    ticket: Optional[Ticket]
    _code: Optional[str]  # on the wire, where the dtype doesn't say it
    _gradient_of: Optional[Ticket]
    _backward: Optional[Callable[[Array], Any]]

    def __array_finalize__(self, source: Any) -> None:
        self.ticket = self._code = self._gradient_of = self._backward = None

    def __array_wrap__(self, array: np.ndarray, context: Any = None, return_scalar: bool = True) -> Any:
        if array is self:
            return self
        plain = np.asarray(array)
        return plain[()] if return_scalar and plain.ndim == 0 else plain

    def gradient(self, jacobian: ArrayLike) -> Array:
        """`jacobian` (the shape of this answer) as the gradient of this answer: sent, it carries the ticket.

        Raises ValueError for another shape, or when this array has no ticket.
        """
        if self.ticket is None:
            raise ValueError("gradient: the array has no ticket: it is no answer, or its route kept nothing for it")
        out = self._shaped(jacobian, "gradient")
        out._gradient_of = self.ticket
        return out

    def backward(self, jacobian: Optional[ArrayLike] = None) -> Any:
        """Sends the gradient of this answer back, and returns what comes of it.

        For answers of a remote_model (the gradient of the input, or None), and
        of a tfetch with a grad_fn (what that returns). `jacobian` has the shape
        of this answer and may be left out for a single element: 1. Raises
        ValueError for other arrays, and what the requests raise.
        """
        if self._backward is None:
            raise ValueError("backward: the array is no answer of a remote_model or of a tfetch with a grad_fn")
        if jacobian is None:
            if self.size != 1:
                raise ValueError(f"backward: an answer of shape {self.shape} needs a jacobian of that shape")
            jacobian = np.ones(self.shape)
        out = self._shaped(jacobian, "backward")
        out._gradient_of = self.ticket
        return self._backward(out)

    def _shaped(self, jacobian: ArrayLike, what: str) -> Array:
        array = np.asarray(jacobian, dtype=self.dtype)
        if array.shape != self.shape:
            raise ValueError(f"{what}: expected a jacobian of the answer's shape {self.shape}, got {array.shape}")
        out = array.view(Array)
        out._code = self._code
        return out


def bfloat16(values: ArrayLike) -> Array:
    """`values` rounded to bfloat16, as float32 that is sent as bfloat16."""
    bits = _to_bfloat16(np.asarray(values, dtype="<f4"))
    out = _from_bfloat16(bits).view(Array)
    out._code = "BF16"
    return out


def _to_bfloat16(array: np.ndarray) -> np.ndarray:
    """The upper half of each float32, to the nearest, ties to even."""
    flat = np.asarray(array, dtype="<f4").reshape(-1)
    bits = flat.view("<u4")
    rounded = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)
    quiet = (bits >> np.uint32(16)) | np.uint32(0x40)  # rounding could turn a NaN into something else
    return np.where(np.isnan(flat), quiet, rounded).astype("<u2").reshape(array.shape)


def _from_bfloat16(bits: np.ndarray) -> np.ndarray:
    return (bits.reshape(-1).astype("<u4") << np.uint32(16)).view("<f4").reshape(bits.shape)


def to_part(value: ArrayLike, name: str = "0", *, own: bool = False) -> Part:
    """An array, or what NumPy makes one of, as bytes: `own` ones, or the array's where they lie in order."""
    array = np.asarray(value)
    if getattr(value, "_code", None) == "BF16":
        array, code = _to_bfloat16(array), "BF16"
    elif array.dtype.name == "bfloat16":  # of the package ml_dtypes
        array, code = array.view(np.uint16), "BF16"
    else:
        little = array.dtype.newbyteorder("<")
        if little not in _CODE_OF_DTYPE:
            what = "None" if value is None else f"the dtype {array.dtype}"
            raise TypeError(f"expected an array of numbers or booleans, got {what}")
        array, code = array.astype(little, copy=False), _CODE_OF_DTYPE[little]
    flat = array.flatten() if own else array.reshape(-1)
    return Part(name, code, array.shape, flat.view(np.uint8).data if flat.size else b"")


def from_part(part: Part) -> Array:
    """An Array over the part's bytes, without a ticket."""
    if part.dtype == "BF16":
        plain = _from_bfloat16(np.frombuffer(part.data, "<u2"))
    else:
        plain = np.frombuffer(part.data, _DTYPE_OF_CODE[part.dtype])
    out = plain.reshape(part.shape).view(Array)
    out._code = "BF16" if part.dtype == "BF16" else None
    return out


def to_parts(value: Any) -> list[Part] | None:
    """What tfetch sends: nothing, an array as "0", or named arrays."""
    if value is None:
        return None
    if isinstance(value, Mapping):
        return [to_part(array, name) for name, array in value.items()]
    return [to_part(value)]


def gradient_ticket(value: Any) -> Ticket | None:
    """The ticket that a gradient among the arrays carries."""
    for array in value.values() if isinstance(value, Mapping) else [value]:
        ticket = getattr(array, "_gradient_of", None)
        if isinstance(ticket, Ticket):
            return ticket
    return None


def tag(array: Any, ticket: Ticket | None) -> Any:
    array.ticket = ticket
    return array


def from_answer(answer: Answer, from_one: Callable[[Part], Any] = from_part) -> Any:
    """An array, a dict of them, JSON's value, or None; what is named "0" alone is an array."""
    if answer.parts is None:
        return answer.json
    arrays = {part.name: tag(from_one(part), answer.ticket) for part in answer.parts}
    return arrays["0"] if list(arrays) == ["0"] else arrays
