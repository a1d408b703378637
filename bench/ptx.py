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


# Shared memory that the host gives at launch, by the end of an entry's name: runtime/cuda/layout.go. Attention's follows the number of keys.
AT_LAUNCH = {"_wide": 61440, "_hopper": 197696, "_hopper, tf32": 132160}


def assemble(ptx, arch):
    """Of each entry: registers, shared memory, spilled bytes."""
    found, tf32 = {}, ", tf32" if "operands in tf32" in open(ptx).read() else ""
    with tempfile.NamedTemporaryFile() as out:
        text = subprocess.run([PTXAS, "-v", "-arch=" + arch, "-o", out.name, ptx], capture_output=True, text=True, check=True).stderr
    for m in re.finditer(r"entry function '(\w+)'.*\n.*\n.*?(\d+) bytes spill stores, (\d+) bytes spill loads\n.*?Used (\d+) registers(.*)", text):
        shared = re.search(r"(\d+) bytes smem", m[5])
        end = m[1][m[1].rfind("_"):]
        launched = AT_LAUNCH.get(end + tf32, AT_LAUNCH.get(end, 0))
        found[m[1]] = int(m[4]), (int(shared[1]) if shared else 0) + launched, int(m[2]) + int(m[3])
    return found


def main():
    print("| kernel | " + " | ".join(f"{a}: registers, shared, spills, occupancy" for a in LIMITS) + " |")
    print("|---|" + "---|" * len(LIMITS))
    for file in "kernels.ptx", "hopper.ptx":
        ptx = os.path.join(sys.argv[1], file)
        if not os.path.exists(ptx):
            continue
        names = {m[2]: m[1] for m in re.finditer(r"^// (.*)\n(?://.*\n)*\.visible \.entry (\w+)", open(ptx).read(), re.M)}
        found = {arch: assemble(ptx, arch) for arch in LIMITS if file == "kernels.ptx" or arch == "sm_90a"}
        for name, what in names.items():
            cells = []
            for arch in LIMITS:
                if arch not in found:
                    cells.append("")
                    continue
                regs, shared, spills = found[arch][name]
                cells.append(f"{regs}, {shared}, {spills}, {occupancy(arch, regs, shared):.0%}")
            print(f"| {name}: {what.split(' is ')[-1][:40].strip(':')} | " + " | ".join(cells) + " |")


main()
