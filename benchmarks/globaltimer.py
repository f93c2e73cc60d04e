"""A Triton kernel that lasts a known time by the device's own clock; a file of its own, for Triton reads its source."""

from typing import Any

import triton
import triton.language as tl


@triton.jit
def spin(out: Any, ns: Any) -> None:
    """Wait until `ns` nanoseconds have gone by on %globaltimer, and write how many did."""
    started = tl.inline_asm_elementwise("mov.u64 $0, %globaltimer;", "=l", [], dtype=tl.int64, is_pure=False, pack=1)
    passed = started - started
    while passed < ns:
        now = tl.inline_asm_elementwise("mov.u64 $0, %globaltimer;", "=l", [], dtype=tl.int64, is_pure=False, pack=1)
        passed = now - started
    tl.store(out, passed)
