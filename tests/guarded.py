"""Arrays between memory pages that may not be touched, and functions that run on them.

A read or a write beyond such an array ends the process, so each test and each instruction set
runs in an interpreter of its own.
"""

from __future__ import annotations

import ctypes
import mmap
from pathlib import Path

import numpy as np
import pytest

from support import printed_by

PAGE = mmap.PAGESIZE


class Guarded:
    """Memory for arrays between two forbidden pages. Freed with the process only."""

    libc = ctypes.CDLL(None, use_errno=True)

    def array(self, values, at_end):
        pages = -(-values.nbytes // PAGE)
        memory = mmap.mmap(-1, (pages + 2) * PAGE)
        start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        for page in (start, start + (pages + 1) * PAGE):
            if self.libc.mprotect(ctypes.c_void_p(page), PAGE, 0) != 0:
                raise OSError(ctypes.get_errno(), "mprotect")
        offset = (pages + 1) * PAGE - values.nbytes if at_end else PAGE
        array = np.frombuffer(memory, values.dtype, values.size, offset).reshape(values.shape)
        array[...] = values
        return array


needs_pages = pytest.mark.skipif(not hasattr(mmap, "MAP_PRIVATE"), reason="needs mprotect")


def runs_to_its_end(module, function, isa):
    """Whether a function of a test module ends as it should, with one instruction set."""
    code = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import {module}
{module}.{function}()
print("done")
"""
    return printed_by(code, timeout=120, DIRECTCONV_ISA=isa) == "done"
