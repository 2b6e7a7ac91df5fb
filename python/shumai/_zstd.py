"""zstd, where Python 3.14 or the package `zstandard` has it."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from ._safetensors import Buffer
from .errors import ShumaiError

# What comes of it is less than 128 MiB: a block has 4 bytes at least, and becomes 128 KiB at most.
_PIECE = 4096


def _find() -> Any:
    for name in ("zstandard", "compression.zstd"):
        try:
            return import_module(name)
        except ImportError:
            continue
    return None


_module = _find()


def is_available() -> bool:
    """Whether bodies can be compressed."""
    return _module is not None


def _decompressor() -> Any:
    decompressor = _module.ZstdDecompressor()
    return decompressor.decompressobj() if hasattr(decompressor, "decompressobj") else decompressor


def compress(data: bytes) -> bytes:
    return _module.compress(data)


def decompress(data: Buffer, most: int) -> bytearray:
    """Raises ShumaiError: "protocol" for broken data, "too_large" above `most` bytes, "unsupported_media"."""
    if _module is None:
        raise ShumaiError("unsupported_media", "the answer is compressed, which wasn't asked for")
    out, at = bytearray(), 0
    while at < len(data):
        frame = _decompressor()
        while not frame.eof:
            piece = data[at:at + _PIECE]
            if not piece:
                raise ShumaiError("protocol", "the answer's zstd breaks off")
            try:
                out += frame.decompress(piece)
            except _module.ZstdError as error:
                raise ShumaiError("protocol", f"the answer isn't zstd: {error}") from None
            if len(out) > most:
                raise ShumaiError("too_large", f"an answer of more than {most} bytes")
            at += len(piece)
        at -= len(frame.unused_data)
    return out
