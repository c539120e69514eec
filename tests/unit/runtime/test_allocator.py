"""Buffers of a megabyte come back to the next one, and not as pages that the system has to clear again."""

import platform
import subprocess
import sys
from typing import Final

import pytest

BUFFERS: Final = 500
FAULTS_OF_ONE: Final = 256  # a megabyte in pages of 4 KiB
FAULTS: Final = f"""
import resource
from services.runtime.allocator import keep_freed_buffers

assert keep_freed_buffers()
for _ in range({BUFFERS}):
    held = [bytearray(1 << 20) for _ in range(4)]
    del held
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
large = bytearray(64 << 20)
large[::4096] = b"x" * len(large[::4096])
del large
print(open("/proc/self/statm").read().split()[1])
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library: nothing is changed")
def test_freed_buffers_are_kept_and_large_arrays_are_not() -> None:
    done = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True)
    faults, pages = map(int, done.stdout.split())
    assert faults < BUFFERS * FAULTS_OF_ONE / 5
    assert pages * 4096 < 64 << 20


@pytest.mark.parametrize("service", ["intake", "control", "activation"])
def test_only_membership_loads_the_compiler(service: str) -> None:
    """LLVM takes 100 MB of a process."""
    program = f"import sys, services.{service}.app; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
