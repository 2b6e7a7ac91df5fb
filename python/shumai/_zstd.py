"""zstd, where Python 3.14 or the package `zstandard` has it."""

from __future__ import annotations

import io
from importlib import import_module
from typing import Any

from ._safetensors import Buffer
from .errors import ShumaiError

_PIECE = 1 << 20


def _find() -> Any:
    for name in ("zstandard", "compression.zstd"):
        try:
            return import_module(name)
        except ImportError:
            continue
    return None


_module = _find()


def is_available() -> bool:
    """Whether answers may come compressed."""
    return _module is not None


def _reader(data: Buffer) -> Any:
    if hasattr(_module, "ZstdFile"):
        return _module.ZstdFile(io.BytesIO(data))
    return _module.ZstdDecompressor().stream_reader(io.BytesIO(data), read_across_frames=True)


def decompress(data: Buffer, most: int) -> bytearray:
    """Raises ShumaiError: "protocol" for broken data, "too_large" above `most` bytes, "unsupported_media"."""
    if _module is None:
        raise ShumaiError("unsupported_media", "the answer is compressed, which wasn't asked for")
    out = bytearray()
    try:
        with _reader(data) as reader:
            while piece := reader.read(_PIECE):
                out += piece
                if len(out) > most:
                    raise ShumaiError("too_large", f"an answer of more than {most} bytes")
    except (getattr(_module, "ZstdError"), EOFError) as error:
        raise ShumaiError("protocol", f"the answer isn't zstd: {error}") from None
    return out
