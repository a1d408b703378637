#!/usr/bin/env python3
"""What ptxas makes of a program's kernels: registers, shared memory, spills, and the occupancy that follows.

usage: bench/ptx.py MODULE

MODULE is what `mmc emit MODEL --target linux/amd64+cuda -o MODULE` wrote. PTXAS names the assembler (CUDA's, or the one inside the
Python package triton).
"""
import os
import re
import subprocess
import sys
import tempfile

PTXAS = os.environ.get("PTXAS", "ptxas")
THREADS = 256
# Registers and bytes of shared memory of a multiprocessor, warps it holds: CUDA C++ Programming Guide, compute capabilities.
LIMITS = {"sm_80": (65536, 164 << 10, 64), "sm_90a": (65536, 228 << 10, 64)}


def occupancy(arch, regs, shared):
    total, memory, warps = LIMITS[arch]
    blocks = min(total // (-(-regs // 8) * 8 * THREADS), warps // (THREADS // 32))
    if shared:
        blocks = min(blocks, memory // (shared + 1024))
    return blocks * (THREADS // 32) / warps


def main():
    ptx = os.path.join(sys.argv[1], "kernels.ptx")
    names = {m[2]: m[1] for m in re.finditer(r"^// (.*)\n(?://.*\n)*\.visible \.entry (\w+)", open(ptx).read(), re.M)}
    found = {}
    for arch in LIMITS:
        with tempfile.NamedTemporaryFile() as out:
            text = subprocess.run([PTXAS, "-v", "-arch=" + arch, "-o", out.name, ptx], capture_output=True, text=True, check=True).stderr
        for m in re.finditer(r"entry function '(\w+)'.*\n.*\n.*?(\d+) bytes spill stores, (\d+) bytes spill loads\n.*?Used (\d+) registers(.*)", text):
            shared = re.search(r"(\d+) bytes smem", m[5])
            found[m[1], arch] = int(m[4]), int(shared[1]) if shared else 0, int(m[2]) + int(m[3])
    print("| kernel | " + " | ".join(f"{a}: registers, shared, spills, occupancy" for a in LIMITS) + " |")
    print("|---|" + "---|" * len(LIMITS))
    for name, what in names.items():
        cells = []
        for arch in LIMITS:
            regs, shared, spills = found[name, arch]
            cells.append(f"{regs}, {shared}, {spills}, {occupancy(arch, regs, shared):.0%}")
        print(f"| {name}: {what.split(' is ')[-1][:40].strip(':')} | " + " | ".join(cells) + " |")


main()
