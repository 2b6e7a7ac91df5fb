"""The safetensors format (https://github.com/huggingface/safetensors), all little-endian:

    u64 N | N bytes of JSON, padded with spaces | data of the tensors, without gaps

    {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]}, ...}

Offsets count from the start of the data.
"""

from __future__ import annotations

import json
import math
import struct
from typing import Any, NamedTuple, NoReturn, Sequence, Union

from .errors import ShumaiError

Buffer = Union[bytes, bytearray, memoryview]

SIZE_OF_DTYPE = {
    "BOOL": 1, "U8": 1, "I8": 1, "I16": 2, "U16": 2, "I32": 4, "U32": 4, "I64": 8, "U64": 8, "F16": 2, "BF16": 2,
    "F32": 4, "F64": 8,
}

_MOST_HEADER_BYTES = 4 << 20
_MOST_TENSORS = 10_000
_MOST_DIMENSIONS = 64
_ALIGNMENT = 64
_METADATA = "__metadata__"


class Part(NamedTuple):
    """A named tensor as its bytes: elements in row-major order, little-endian."""

    name: str
    dtype: str  # of SIZE_OF_DTYPE
    shape: tuple[int, ...]
    data: Buffer


def _fail(what: str) -> NoReturn:
    raise ShumaiError("protocol", "safetensors: " + what)


def encode(parts: Sequence[Part]) -> list[Buffer]:
    """The pieces of a file, in order; the parts' data isn't copied. Raises ValueError for a name that can't be one."""
    names = [part.name for part in parts]
    if len(set(names)) < len(names) or _METADATA in names:
        raise ValueError(f"safetensors: names must differ, and not be \"{_METADATA}\", got {names}")
    # Laid out by descending alignment, every tensor lies aligned to its elements.
    order = sorted(parts, key=lambda part: -_natural_alignment(len(part.data)))
    begins, next_byte = {}, 0
    for part in order:
        begins[part.name] = next_byte
        next_byte += len(part.data)
    header = json.dumps(
        {
            part.name: {
                "dtype": part.dtype,
                "shape": list(part.shape),
                "data_offsets": [begins[part.name], begins[part.name] + len(part.data)],
            }
            for part in parts
        },
        separators=(",", ":"),
    ).encode()
    header += b" " * (-(8 + len(header)) % _ALIGNMENT)
    return [struct.pack("<Q", len(header)) + header, *(part.data for part in order if len(part.data))]


def decode(body: Buffer) -> list[Part]:
    """The tensors of a file; their data are views of `body`.

    Raises ShumaiError ("protocol", "too_large") for anything that the format
    doesn't allow, gaps, overlaps and booleans other than 0 and 1 included.
    """
    bytes_ = memoryview(body).cast("B")
    if len(bytes_) < 8:
        _fail(f"the length of the header needs 8 bytes, got {len(bytes_)}")
    (length,) = struct.unpack("<Q", bytes_[:8])
    if length > _MOST_HEADER_BYTES:
        raise ShumaiError(
            "too_large", f"safetensors: a header of {length} bytes, expected at most {_MOST_HEADER_BYTES}")
    if length > len(bytes_) - 8:
        _fail(f"a header of {length} bytes, but only {len(bytes_) - 8} follow")
    header = _parse_header(bytes(bytes_[8:8 + length]))
    data = bytes_[8 + length:]
    spans = {name: _check_info(name, info, len(data)) for name, info in header.items() if name != _METADATA}
    _check_coverage(spans, len(data))
    return [_part(name, header[name], data, 8 + length, *span) for name, span in spans.items()]


def _natural_alignment(size: int) -> int:
    return _ALIGNMENT if size == 0 else min(_ALIGNMENT, size & -size)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) < len(pairs):
        raise ValueError("a name comes twice")
    return out


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} isn't JSON")


def _parse_header(text: bytes) -> dict[str, Any]:
    if not text.startswith(b"{"):
        _fail(f"the header must start with {{, got {text[:8]!r}")
    try:
        header = json.loads(text.decode(), object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        _fail(f"the header is no JSON: {error}")
    if len(header) > _MOST_TENSORS:
        raise ShumaiError("too_large", f"safetensors: {len(header)} tensors, expected at most {_MOST_TENSORS}")
    metadata = header.get(_METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        _fail(f"\"{_METADATA}\" must be an object of strings")
    return header


def _is_size(value: Any) -> bool:
    return type(value) is int and 0 <= value < 1 << 63


def _are_sizes(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_size, value))


def _check_info(name: str, info: Any, data_size: int) -> tuple[int, int]:
    """Where the tensor lies in the data."""
    if not isinstance(info, dict):
        _fail(f"tensor \"{name}\" needs an object, got {str(info)[:80]}")
    dtype: Any
    shape: Any
    offsets: Any
    dtype, shape, offsets = map(info.get, ("dtype", "shape", "data_offsets"))
    if not isinstance(dtype, str) or dtype not in SIZE_OF_DTYPE:
        _fail(f"tensor \"{name}\" has the dtype {str(dtype)[:80]}, expected one of {', '.join(SIZE_OF_DTYPE)}")
    if not _are_sizes(shape) or len(shape) > _MOST_DIMENSIONS:
        _fail(f"tensor \"{name}\" needs at most {_MOST_DIMENSIONS} sizes as its shape, got {str(shape)[:80]}")
    if not _are_sizes(offsets) or len(offsets) != 2:
        _fail(f"tensor \"{name}\" needs two offsets, got {str(offsets)[:80]}")
    begin, end = offsets
    if begin > end or end > data_size:
        _fail(f"tensor \"{name}\" lies at [{begin}, {end}], outside the data of {data_size} bytes")
    needed = math.prod(shape) * SIZE_OF_DTYPE[dtype]
    if end - begin != needed:
        _fail(f"tensor \"{name}\" of shape {shape} and dtype {dtype} needs {needed} bytes, got [{begin}, {end}]")
    return begin, end


def _check_coverage(spans: dict[str, tuple[int, int]], data_size: int) -> None:
    next_byte = 0
    for name, (begin, end) in sorted(spans.items(), key=lambda item: item[1]):
        if begin != next_byte:
            what = "tensors overlap" if begin < next_byte else "there is a gap"
            _fail(f"tensor \"{name}\" starts at {begin}, expected {next_byte} ({what})")
        next_byte = end
    if next_byte != data_size:
        _fail(f"tensors end at byte {next_byte} of the data, expected {data_size}")


def _part(name: str, info: dict[str, Any], data: memoryview, start: int, begin: int, end: int) -> Part:
    dtype, bytes_ = info["dtype"], data[begin:end]
    if dtype == "BOOL" and bytes(bytes_).strip(b"\0\1"):
        _fail(f"tensor \"{name}\" of dtype BOOL holds bytes other than 0 and 1")
    if (start + begin) % SIZE_OF_DTYPE[dtype]:
        bytes_ = memoryview(bytearray(bytes_))
    return Part(name, dtype, tuple(info["shape"]), bytes_)
