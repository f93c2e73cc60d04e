"""A Triton kernel that lasts a known time by the device's own clock; a file of its own, for Triton reads its source."""

import triton
import triton.language as tl


@triton.jit
def spin(out, ns):  # noqa: ANN001  Triton reads annotations as its own
    """Wait until `ns` nanoseconds have gone by on %globaltimer, and write how many did."""
    started = tl.inline_asm_elementwise("mov.u64 $0, %globaltimer;", "=l", [], dtype=tl.int64, is_pure=False, pack=1)
    passed = started - started
    while passed < ns:
        now = tl.inline_asm_elementwise("mov.u64 $0, %globaltimer;", "=l", [], dtype=tl.int64, is_pure=False, pack=1)
        passed = now - started
    tl.store(out, passed)
