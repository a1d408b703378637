#!/usr/bin/env python3
"""Measures models beside ONNX Runtime and, where it is installed, OpenVINO: the same inputs, the same cores, one run.

usage: families.py [--threads 1,2] [--batch N] [--set N] [--runs N] [--json FILE] DIR…
DIR holds model.onnx and test_data_set_0, whose inputs are used, or set N's; --batch repeats them along their first axis.
--json adds the figures of one thread to a file, as docs/models.md wants them.
needs: go, taskset, pip install onnxruntime numpy [openvino]
Rounds alternate between the engines; the figure is the least of the rounds' medians, in ms.
"""
import argparse, glob, json, os, statistics, subprocess, sys, tempfile
import numpy as np

ROUNDS = 2
TYPES = {1: np.float32, 2: np.uint8, 3: np.int8, 6: np.int32, 7: np.int64, 9: np.bool_, 10: np.float16, 11: np.float64}

ORT = """
import json, sys, time, numpy as np, onnxruntime as ort
model, files, threads, runs = sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
o = ort.SessionOptions(); o.intra_op_num_threads = threads; o.inter_op_num_threads = 1
s = ort.InferenceSession(model, o, providers=['CPUExecutionProvider'])
feed = {n: np.load(f) for n, f in files.items()}
run = lambda: s.run(None, feed)
"""
OPENVINO = """
import json, sys, time, numpy as np, openvino as ov
model, files, threads, runs = sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
core = ov.Core()
c = core.compile_model(model, 'CPU', {'INFERENCE_NUM_THREADS': threads, 'PERFORMANCE_HINT': 'LATENCY', 'INFERENCE_PRECISION_HINT': 'f32'})
r = c.create_infer_request()
feed = {n: np.load(f) for n, f in files.items()}
run = lambda: r.infer(feed)
"""
TIME = """
for _ in range(2): run()
t = []
for _ in range(runs):
    b = time.perf_counter(); run(); t.append((time.perf_counter() - b) * 1e3)
print(json.dumps(t))
"""


def varint(b, i):
    x = s = 0
    while True:
        c = b[i]
        i, x, s = i + 1, x | (c & 127) << s, s + 7
        if c < 128:
            return x, i


def tensor(path):
    """A TensorProto: dims 1, data_type 2, float_data 4, int64_data 7, name 8, raw_data 9."""
    b, i, dims, kind, name, raw, ints = open(path, "rb").read(), 0, [], 0, "", b"", []
    while i < len(b):
        tag, i = varint(b, i)
        field, wire = tag >> 3, tag & 7
        if wire == 0:
            v, i = varint(b, i)
            if field == 1: dims.append(v)
            if field == 2: kind = v
            if field == 7: ints.append(v)
            continue
        if wire in (1, 5):
            i += 8 if wire == 1 else 4
            continue
        n, i = varint(b, i)
        d, i = b[i:i + n], i + n
        if field == 8: name = d.decode()
        if field in (4, 9): raw = d
        j = 0
        while field in (1, 7) and j < len(d):
            v, j = varint(d, j)
            (dims if field == 1 else ints).append(v)
    if ints:
        raw = np.array(ints, np.int64).tobytes()
    return name, np.frombuffer(raw, TYPES[kind]).reshape(dims)


def pinned(threads, cmd):
    return subprocess.run(["taskset", "-c", f"0-{threads - 1}"] + cmd, check=True, capture_output=True, text=True).stdout


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--threads", default="1,2")
    p.add_argument("--batch", type=int, default=1)
    p.add_argument("--set", type=int, default=0)
    p.add_argument("--runs", type=int, default=9)
    p.add_argument("--json")
    p.add_argument("dirs", nargs="+")
    a = p.parse_args()
    root, tmp = os.path.dirname(os.path.dirname(os.path.abspath(__file__))), tempfile.mkdtemp()
    mmc = os.path.join(tmp, "mmc")
    subprocess.run(["go", "build", "-o", mmc, "./cmd/mmc"], cwd=root, check=True)
    peers = {"ONNX Runtime": ORT}
    try:
        import openvino  # noqa: F401
        peers["OpenVINO"] = OPENVINO
    except ImportError:
        pass
    print("| model | threads | batch | mmc ms | " + " | ".join(f"{n} ms" for n in peers) + " | mmc / faster |")
    print("|---|---|---|---|" + "---|" * (len(peers) + 1), flush=True)
    found = {}
    if a.json and os.path.exists(a.json):
        found = json.load(open(a.json))
    for d in a.dirs:
        name, files = os.path.basename(os.path.normpath(d)), {}
        for f in sorted(glob.glob(os.path.join(d, f"test_data_set_{a.set}", "input_*.pb"))):
            n, v = tensor(f)
            if a.batch > 1 and v.ndim:
                v = np.concatenate([v] * a.batch)
            files[n] = os.path.join(tmp, os.path.basename(f)[:-3] + ".npy")
            np.save(files[n], v)
        binary, model = os.path.join(tmp, name), os.path.join(d, "model.onnx")
        subprocess.run([mmc, "build", d, "-o", binary, "--quiet"], check=True)
        for t in [int(x) for x in a.threads.split(",")]:
            ours, theirs = [], {n: [] for n in peers}
            for _ in range(ROUNDS):
                args = [binary, "bench", "--json", "--threads", str(t), "--runs", str(a.runs), "--warmup", "2"]
                for n, f in files.items():
                    args += ["-i", f"{n}={f}"]
                ours.append(json.loads(pinned(t, args))["median_ms"])
                for n, code in peers.items():
                    try:
                        out = pinned(t, [sys.executable, "-c", code + TIME, model, json.dumps(files), str(t), str(a.runs)])
                        theirs[n].append(statistics.median(json.loads(out)))
                    except subprocess.CalledProcessError:
                        theirs[n].append(float("inf"))
            best = {n: min(v) for n, v in theirs.items()}
            print(f"| {name}{f', set {a.set}' if a.set else ''} | {t} | {a.batch} | {min(ours):.3f} | " + " | ".join(f"{v:.3f}" for v in best.values()) +
                  f" | {min(ours) / min(best.values()):.3f} |", flush=True)
            if t == 1 and a.batch == 1:
                found[name] = {"Ours": round(min(ours), 4), "ORT": round(best["ONNX Runtime"], 4)}
        os.remove(binary)
    if a.json:
        json.dump(found, open(a.json, "w"), indent=1, sort_keys=True)


main()
