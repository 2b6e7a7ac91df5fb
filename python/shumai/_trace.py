"""The header traceparent (https://www.w3.org/TR/trace-context/)."""

from __future__ import annotations

import random
import re

_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})(-.*)?")


def next_traceparent(parent: str | None) -> str:
    """A new step of the parent's trace; of a new trace without one, or with one that isn't valid."""
    found = _TRACEPARENT.fullmatch(parent or "")
    if found and not (found[3] and parent.startswith("00")):  # type: ignore[union-attr]
        return f"00-{found[1]}-{_word(64)}-{found[2]}"
    return f"00-{_word(128)}-{_word(64)}-01"


def _word(bits: int) -> str:
    return f"{random.randint(1, (1 << bits) - 1):0{bits // 4}x}"
