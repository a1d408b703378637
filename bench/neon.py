#!/usr/bin/env python3
"""What the inner loops of the NEON tile kernels are made of, and their cycles as llvm-mca predicts them.

usage: bench/neon.py PROGRAM

PROGRAM is a module's linux/arm64 program with its symbols, for example
  mmc emit golden/models/digits-vit --target linux/arm64 -o m && (cd m && GOARCH=arm64 go build -o ../m-arm64 ./cmd/model)
Needs aarch64-linux-gnu-objdump and llvm-mca 17 or later (LLVM_MCA names it).
"""
import os
import re
import subprocess
import sys

OBJDUMP = "aarch64-linux-gnu-objdump"
MCA = os.environ.get("LLVM_MCA", "llvm-mca")
# FMLA by element a cycle: Arm's software optimisation guides of Neoverse N1 and V1.
CPUS = {"neoverse-n1": 2, "neoverse-v1": 4}


def listing(program, symbol):
    out = subprocess.run([OBJDUMP, "-d", "--no-show-raw-insn", "-M", "no-aliases", "--disassemble=" + symbol, program],
                         capture_output=True, text=True, check=True).stdout
    found = re.findall(r"^\s*([0-9a-f]+):\s+(\S+)\s*(.*?)(?:\s*//.*)?$", out, re.M)
    return [(int(a, 16), op, args) for a, op, args in found]


def inner_loop(code):
    """The longest stretch between a backward branch and its target, without a branch in between."""
    best = []
    for i, (at, op, args) in enumerate(code):
        if not op.startswith("b."):
            continue
        target = int(args.split()[0], 16)
        body = [c for c in code[:i + 1] if c[0] >= target] if target < at else []
        if len(body) > len(best) and not any(c[1].startswith(("b.", "cb")) or c[1] == "b" for c in body[:-1]):
            best = body
    return best


def predict(body, cpu):
    text = "".join(f"{op} {re.sub(r'<.*>', '', args)}\n" for _, op, args in body[:-1]) + "b.ge 0\n"
    out = subprocess.run([MCA, "-mtriple=aarch64", "-mcpu=" + cpu, "-iterations=300", "-instruction-info=0", "-resource-pressure=0"],
                         input=text, capture_output=True, text=True, check=True).stdout
    return int(re.search(r"Total Cycles:\s+(\d+)", out)[1]) / 300


def main():
    program = sys.argv[1]
    print("| rows | FMLA | vector loads | loads per FMLA | stores | other | " + " | ".join(f"{c}: cycles, of the FMLA bound" for c in CPUS) + " |")
    print("|---|---|---|---|---|---|" + "---|" * len(CPUS))
    for rows in range(6, 0, -1):
        body = inner_loop(listing(program, f"model.tile_f32_{rows}x16__neon.abi0"))
        ops = [op for _, op, _ in body]
        fmla = ops.count("fmla")
        loads = sum(op in ("ldr", "ldp") for op in ops)
        stores = sum(op.startswith("st") for op in ops)
        cells = []
        for cpu, ports in CPUS.items():
            cycles = predict(body, cpu)
            cells.append(f"{cycles:.1f}, {fmla / ports / cycles:.0%}")
        print(f"| {rows} | {fmla} | {loads} | {loads / fmla:.2f} | {stores} | {len(ops) - fmla - loads - stores} | " + " | ".join(cells) + " |")


main()
