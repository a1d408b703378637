#!/usr/bin/env python3
"""Makes models with loops whose number of iterations is not known before they run, with seeded inputs and what ONNX Runtime, its optimiser
off, gives for them.

usage: make.py DIR        (writes DIR/NAME/model.onnx and DIR/NAME/test_data_set_N)
needs: pip install onnx==1.23.2 onnxruntime==1.32.0 numpy
"""
import pathlib
import sys

import numpy
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL
CONSTANTS = {"zero": numpy.int64(0), "one": numpy.int64(1), "true": numpy.array(True), "half": numpy.float32(0.5), "limit": numpy.float32(0.01),
             "three": numpy.int64(3), "five": numpy.float32(5), "hundred": numpy.int64(100), "axis": numpy.array([0])}
rng = None  # main makes one for each model


def rand(*shape):
    return rng.standard_normal(shape).astype(numpy.float32)


def value(name, kind=FLOAT, shape=None):
    return helper.make_tensor_value_info(name, kind, shape)


node = helper.make_node


def body(nodes, inputs, outputs, loop=True):
    """A loop's graph: inputs and outputs beside the number of the iteration and the condition."""
    if not loop:
        return helper.make_graph(nodes, "body", [value(i) for i in inputs], [value(o) for o in outputs])
    if not any("more" in n.output for n in nodes):
        nodes = nodes + [node("Identity", ["go"], ["more"])]
    kinds = {"k": INT64, "k1": INT64}
    return helper.make_graph(nodes, "body", [value("i", INT64, []), value("go", BOOL, [])] + [value(i, kinds.get(i, FLOAT)) for i in inputs],
                             [value("more", BOOL, [])] + [value(o, kinds.get(o, FLOAT)) for o in outputs])


# How often: the size of x's first axis.
SIZE = [node("Shape", ["x"], ["shape"]), node("Gather", ["shape", "zero"], ["times"])]


def loop(inputs, outputs, graph):
    return node("Loop", inputs, outputs, body=graph)


def recurrent():
    graph = body([node("Gather", ["x", "i"], ["row"]), node("MatMul", ["row", "w"], ["a"]), node("MatMul", ["h", "r"], ["b"]), node("Add", ["a", "b"], ["c"]),
                  node("Tanh", ["c"], ["h1"]), node("Identity", ["h1"], ["y"])], ["h"], ["h1", "y"])
    constants = {"w": rand(5, 7), "r": rand(7, 7)}
    sets = [{"x": rand(t, n, 5), "h0": rand(n, 7)} for t, n in [(6, 2), (1, 3), (40, 1)]]
    return SIZE + [loop(["times", "true", "h0"], ["h", "ys"], graph)], {"x": ["t", "n", 5], "h0": ["n", 7]}, ["h", "ys"], constants, sets


def until():
    graph = body([node("Mul", ["v", "half"], ["v1"]), node("ReduceSum", ["v1"], ["s"], keepdims=0), node("Greater", ["s", "limit"], ["more"]),
                  node("Add", ["k", "one"], ["k1"])], ["v", "k"], ["v1", "k1"])
    nodes = [node("ReduceSum", ["x"], ["s0"], keepdims=0), node("Greater", ["s0", "limit"], ["first"]), loop(["", "first", "x", "zero"], ["y", "count"], graph)]
    return nodes, {"x": ["n"]}, ["y", "count"], {}, [{"x": numpy.abs(rand(5))}, {"x": -numpy.abs(rand(3))}, {"x": numpy.abs(rand(1)) * 100}]


def times():
    graph = body([node("Mul", ["v", "half"], ["v1"])], ["v"], ["v1"])
    return [loop(["m", "", "x"], ["y"], graph)], {"m": [], "x": ["n"]}, ["y"], {}, [{"m": numpy.array(m), "x": rand(n)} for m, n in [(5, 4), (0, 2), (1, 2)]]


def nested():
    inner = helper.make_graph([node("Gather", ["row", "j"], ["e"]), node("Add", ["t", "e"], ["t1"]), node("Identity", ["t1"], ["q"]), node("Identity", ["on"], ["on1"])],
                              "inner", [value("j", INT64, []), value("on", BOOL, []), value("t")], [value("on1", BOOL, []), value("t1"), value("q")])
    graph = body([node("Gather", ["x", "i"], ["row"]), loop(["width", "true", "sum"], ["sum1", "qs"], inner)], ["sum"], ["sum1", "qs"])
    nodes = SIZE + [node("Gather", ["shape", "one"], ["width"]), loop(["times", "true", "nothing"], ["y", "q"], graph)]
    return nodes, {"x": ["a", "b"]}, ["y", "q"], {"nothing": numpy.float32(0)}, [{"x": rand(3, 4)}, {"x": rand(20, 1)}]


def scan():
    graph = body([node("Add", ["s", "e"], ["s1"]), node("Mul", ["s1", "f"], ["y"]), node("Sub", ["e", "f"], ["z"])], ["s", "e", "f"], ["s1", "y", "z"], loop=False)
    nodes = [node("Scan", ["s0", "x", "w"], ["s", "y", "z"], body=graph, num_scan_inputs=2, scan_input_axes=[1, 0], scan_input_directions=[0, 1],
                  scan_output_axes=[1, -1], scan_output_directions=[1, 0])]
    sets = [{"s0": rand(n, 3), "x": rand(n, t, 3), "w": rand(t, n, 3)} for n, t in [(2, 5), (1, 30)]]
    return nodes, {"s0": ["n", 3], "x": ["n", "t", 3], "w": ["u", "n", 3]}, ["s", "y", "z"], {}, sets


def fibonacci():
    graph = body([node("Add", ["a", "b"], ["c"]), node("Identity", ["b"], ["a1"])], ["a", "b"], ["a1", "c"])
    sets = [{"x": rand(t), "a0": rand(2), "b0": rand(2)} for t in (9, 2)]
    return SIZE + [loop(["times", "true", "a0", "b0"], ["y", "z"], graph)], {"x": ["t"], "a0": [2], "b0": [2]}, ["y", "z"], {}, sets


def hundred():
    graph = body([node("Mul", ["v", "half"], ["v1"]), node("Cast", ["i"], ["f"], to=FLOAT), node("Add", ["v1", "f"], ["y"])], ["v"], ["v1", "y"])
    return [loop(["hundred", "true", "x"], ["v", "y"], graph)], {"x": ["n"]}, ["v", "y"], {}, [{"x": rand(4)}]


def branches():
    yes = helper.make_graph([node("Neg", ["v"], ["yes"])], "yes", [], [value("yes")])
    no = helper.make_graph([node("Mul", ["v", "w"], ["no"])], "no", [], [value("no")])
    graph = body([node("ReduceMax", ["v"], ["top"], keepdims=0), node("Greater", ["top", "half"], ["which"]), node("If", ["which"], ["v1"], then_branch=yes, else_branch=no),
                  node("Add", ["k", "three"], ["k1"])], ["v", "k", "w"], ["v1", "k1", "w"])
    sets = [{"x": rand(t), "v0": rand(3), "w0": rand(1)} for t in (20, 3)]
    return SIZE + [loop(["times", "true", "v0", "one", "w0"], ["y", "k", "w"], graph)], {"x": ["t"], "v0": ["n"], "w0": [1]}, ["y", "k", "w"], {}, sets


def early():
    graph = body([node("Add", ["v", "half"], ["v1"]), node("Less", ["v1", "five"], ["more"])], ["v"], ["v1"])
    sets = [{"x": rand(t), "v0": numpy.float32(v)} for t, v in [(20, 0.25), (2, 0.25), (7, 9)]]
    return SIZE + [loop(["times", "true", "v0"], ["y"], graph)], {"x": ["t"], "v0": []}, ["y"], {}, sets


def rows():
    graph = body([node("Gather", ["x", "i"], ["q"]), node("MatMul", ["x", "w"], ["k"]), node("Transpose", ["k"], ["kt"], perm=[1, 0]), node("Unsqueeze", ["q", "axis"], ["q2"]),
                  node("MatMul", ["q2", "kt"], ["s"]), node("Softmax", ["s"], ["p"], axis=-1), node("MatMul", ["p", "x"], ["o"]), node("Squeeze", ["o", "axis"], ["y"])], [], ["y"])
    return SIZE + [loop(["times", "true"], ["y"], graph)], {"x": ["t", 8]}, ["y"], {"w": rand(8, 8)}, [{"x": rand(6, 8)}, {"x": rand(33, 8)}]


def found():
    """What is found, or nothing, as detectors do; and the greatest few of as many as there are."""
    none = helper.make_graph([node("Constant", [], ["r"], value=numpy_helper.from_array(rand(0)))], "none", [], [value("r")])
    some = helper.make_graph([node("Squeeze", ["at", "axis"], ["flat"]), node("Gather", ["x", "flat"], ["g"]), node("Mul", ["g", "g"], ["r"])], "some", [], [value("r")])
    nodes = SIZE + [node("Greater", ["x", "half"], ["high"]), node("NonZero", ["high"], ["at"]), node("Size", ["at"], ["found"]), node("Equal", ["found", "zero"], ["no"]),
                    node("If", ["no"], ["y"], then_branch=none, else_branch=some), node("Min", ["times", "three"], ["few"]), node("Reshape", ["few", "each"], ["count"]),
                    node("TopK", ["x", "count"], ["top", "k"])]
    return nodes, {"x": ["n"]}, ["y", "top", "k"], {"each": numpy.array([1])}, [{"x": rand(9)}, {"x": -numpy.abs(rand(2))}]


def save(root, name, nodes, inputs, outputs, constants, sets):
    used = {i for n in nodes for i in names(n)}
    constants = {k: v for k, v in (CONSTANTS | constants).items() if k in used}
    kinds = {"float32": FLOAT, "int64": INT64}
    graph = helper.make_graph(nodes, name, [value(k, kinds[str(sets[0][k].dtype)], s) for k, s in inputs.items()],
                              [value(o, INT64 if o in ("count", "k") else FLOAT) for o in outputs], [numpy_helper.from_array(numpy.asarray(v), k) for k, v in constants.items()])
    folder = root / name
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), folder / "model.onnx")
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"])
    for i, feeds in enumerate(sets):
        at = folder / f"test_data_set_{i}"
        at.mkdir(exist_ok=True)
        feeds = {k: numpy.asarray(v) for k, v in feeds.items()}
        for j, k in enumerate(inputs):
            (at / f"input_{j}.pb").write_bytes(numpy_helper.from_array(feeds[k], k).SerializeToString())
        for j, (k, v) in enumerate(zip(outputs, session.run(outputs, feeds))):
            (at / f"output_{j}.pb").write_bytes(numpy_helper.from_array(numpy.asarray(v), k).SerializeToString())


def names(n):
    """All names that a node and its graphs read."""
    for i in n.input:
        yield i
    for a in n.attribute:
        if a.type == onnx.AttributeProto.GRAPH:
            for m in a.g.node:
                yield from names(m)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    for make in (recurrent, until, times, nested, scan, fibonacci, hundred, branches, early, rows, found):
        rng = numpy.random.default_rng(1)
        save(pathlib.Path(sys.argv[1]), make.__name__, *make())
