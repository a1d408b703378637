#!/usr/bin/env python3
"""Measures a program that mmc built's binary beside ONNX Runtime on the same cores in one run and prints a Markdown table.

usage: compare.py [--threads 1,2] NAME=MODEL.onnx:DIM=N,DIM=N …
needs: go, taskset, pip install onnxruntime numpy
example: compare.py minilm=all-minilm-l6-v2.onnx:s0=1,s1=128
Rounds alternate between the engines; the figure is the median over rounds of each round's median.
"""
import json, os, statistics, subprocess, sys, tempfile, time

ROUNDS, RUNS = 5, 20


def ort_times(model, files, threads):
    code = """
import json, sys, time, numpy as np, onnxruntime as ort
model, files, threads, runs = sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
so = ort.SessionOptions(); so.intra_op_num_threads = threads; so.inter_op_num_threads = 1
s = ort.InferenceSession(model, so, providers=['CPUExecutionProvider'])
feed = {n: np.load(f) for n, f in files.items()}
for _ in range(3): s.run(None, feed)
t = []
for _ in range(runs):
    b = time.perf_counter(); s.run(None, feed); t.append((time.perf_counter() - b) * 1e3)
print(json.dumps(t))
"""
    return json.loads(run([sys.executable, "-c", code, model, json.dumps(files), str(threads), str(RUNS)], threads))


def make_inputs(model, dims, folder):
    """Inputs that both engines get: small token ids, masks of ones, other integers zero, floats uniform."""
    import numpy as np, onnxruntime as ort
    s = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    files, rng = {}, np.random.default_rng(0)
    for k, i in enumerate(s.get_inputs()):
        names = iter(dims.values())
        shape = [d if isinstance(d, int) else next(names) for d in i.shape]
        if "int64" not in i.type:
            v = rng.random(shape, np.float32)
        elif "mask" in i.name:
            v = np.ones(shape, np.int64)
        else:
            v = rng.integers(0, 1000, shape).astype(np.int64) if k == 0 else np.zeros(shape, np.int64)
        files[i.name] = os.path.join(folder, f"in{k}.npy")
        np.save(files[i.name], v)
    return files


def run(cmd, threads):
    return subprocess.run(["taskset", "-c", f"0-{threads-1}"] + cmd, check=True, capture_output=True, text=True).stdout


def main():
    args = sys.argv[1:]
    threads = [1, 2]
    if args and args[0] == "--threads":
        threads = [int(x) for x in args[1].split(",")]
        args = args[2:]
    if not args:
        sys.exit(__doc__)
    here = os.path.dirname(os.path.abspath(__file__))
    root = os.path.dirname(here)
    tmp = tempfile.mkdtemp()
    probe = os.path.join(tmp, "probe")
    subprocess.run(["go", "build", "-o", probe, "./bench/probe"], cwd=root, check=True)
    mmc = os.path.join(tmp, "mmc")
    subprocess.run(["go", "build", "-o", mmc, "./cmd/mmc"], cwd=root, check=True)
    print("| model | threads | isa | mmc ms | ONNX Runtime ms | ratio | linear layers GFLOP/s | peak of a core, registers only |")
    print("|---|---|---|---|---|---|---|---|")
    for a in args:
        name, rest = a.split("=", 1)
        model, spec = rest.split(":", 1)
        dims = {k: int(v) for k, v in (kv.split("=") for kv in spec.split(","))}
        binary = os.path.join(tmp, name)
        subprocess.run([mmc, "build", model, "-o", binary, "--quiet"], check=True)
        file = os.path.join(model, "model.onnx") if os.path.isdir(model) else model
        files = make_inputs(file, dims, tmp)
        for t in threads:
            row(name, binary, file, dims, files, t, probe)


def row(name, binary, model, dims, files, threads, probe):
    flags = sum((["--dim", f"{k}={v}"] for k, v in dims.items()), [])
    flags += sum((["-i", f"{k}={v}"] for k, v in files.items()), [])
    ours, theirs, isa = [], [], ""
    for _ in range(ROUNDS):
        theirs.append(statistics.median(ort_times(model, files, threads)))
        d = json.loads(run([binary, "bench", "--json", "--kernels", "--threads", str(threads), "--runs", str(RUNS)] + flags, threads))
        ours.append(d["median_ms"])
        isa = d["isa"]
    linear = [k for k in d["kernels"] if k["name"].startswith("linear")]
    flop = sum(k["gflop_per_s"] * k["ms"] for k in linear)
    peak = json.loads(run([probe], 1)).get(isa, 0)
    o, r = statistics.median(ours), statistics.median(theirs)
    print(f"| {name} | {threads} | {isa} | {o:.2f} | {r:.2f} | {o/r:.3f} | {flop/sum(k['ms'] for k in linear):.0f} | {peak:.0f} |", flush=True)


main()
