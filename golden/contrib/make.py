#!/usr/bin/env python3
"""Makes one small model for each way of using operators, of com.microsoft mostly, that other data does not hold, with seeded inputs and what
ONNX Runtime, its optimiser off, gives for them.

usage: make.py DIR        (writes DIR/NAME/model.onnx and DIR/NAME/test_data_set_N)
needs: pip install onnx==1.23.2 onnxruntime==1.32.0 numpy
"""
import pathlib
import sys

import numpy
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

rng = None  # main makes one for each model
WINDOW = {"sliding_window_cache": 1, "local_window_size": 4}
TYPES = {"float32": TensorProto.FLOAT, "int32": TensorProto.INT32, "int64": TensorProto.INT64, "uint8": TensorProto.UINT8,
         "int8": TensorProto.INT8}


def rand(*shape):
    return rng.standard_normal(shape).astype(numpy.float32)


def save(root, name, nodes, sets, constants, outputs, axes=None, opset=21):
    """One model of some nodes: every data set is a dict of inputs, axes their shapes where these are open, outputs names with types."""
    axes = axes or {}
    inputs = [helper.make_tensor_value_info(k, TYPES[str(v.dtype)], axes.get(k, v.shape)) for k, v in sets[0].items()]
    results = [helper.make_tensor_value_info(k, TYPES[t], None) for k, t in outputs.items()]
    graph = helper.make_graph(nodes, name, inputs, results, [numpy_helper.from_array(v, k) if isinstance(v, numpy.ndarray) else v for k, v in constants.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)], ir_version=10)
    folder = root / name
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(model, folder / "model.onnx")
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"])
    for i, feeds in enumerate(sets):
        at = folder / f"test_data_set_{i}"
        at.mkdir(exist_ok=True)
        for j, (k, v) in enumerate(feeds.items()):
            (at / f"input_{j}.pb").write_bytes(numpy_helper.from_array(v, k).SerializeToString())
        for j, (k, v) in enumerate(zip(outputs, session.run(list(outputs), feeds))):
            (at / f"output_{j}.pb").write_bytes(numpy_helper.from_array(v, k).SerializeToString())


def node(kind, inputs, outputs, **attributes):
    return helper.make_node(kind, inputs, outputs, domain="com.microsoft", **attributes)


def fused_conv(root):
    ways = [("Relu", []), ("Sigmoid", []), ("Tanh", []), ("LeakyRelu", [0.2]), ("Clip", [-0.5, 0.75]), ("HardSigmoid", [0.3, 0.4])]
    nodes, constants, outputs = [], {}, {}
    for i, (name, numbers) in enumerate(ways):
        constants |= {f"w{i}": rand(4, 3, 3, 3) / 3, f"b{i}": rand(4)}
        extra = {"activation_params": numbers} if numbers else {}
        operands = ["x", f"w{i}", f"b{i}"] + (["z"] if i % 2 == 0 else [])
        nodes.append(node("FusedConv", operands, [f"y{i}"], activation=name, pads=[1, 1, 1, 1], **extra))
        outputs[f"y{i}"] = "float32"
    save(root, "fused-conv", nodes, [{"x": rand(2, 3, 7, 6), "z": rand(2, 4, 7, 6)}], constants, outputs)


def fused_gemm(root):
    ways = [("Relu", {}), ("LeakyRelu", {"activation_alpha": 0.2}), ("Elu", {"activation_alpha": 0.7}), ("Softsign", {}), ("Softplus", {})]
    nodes, constants, outputs = [], {"b": rand(6, 5), "c": rand(5)}, {}
    for i, (name, extra) in enumerate(ways):
        nodes.append(node("FusedGemm", ["a", "b", "c"], [f"y{i}"], activation=name, **extra))
        outputs[f"y{i}"] = "float32"
    save(root, "fused-gemm", nodes, [{"a": rand(3, 6)}], constants, outputs)


def embed_norm(root):
    constants = {"words": rand(30, 8), "places": rand(9, 8), "kinds": rand(2, 8), "gamma": rand(8), "beta": rand(8)}
    ids, kinds = rng.integers(0, 30, (2, 6)).astype(numpy.int32), rng.integers(0, 2, (2, 6)).astype(numpy.int32)
    mask = numpy.array([[1, 1, 1, 0, 0, 0], [1, 0, 1, 1, 1, 0]], numpy.int32)
    nodes = [node("EmbedLayerNormalization", ["ids", "kinds", "words", "places", "kinds_", "gamma", "beta", "mask"], ["y", "index", "sum"]),
             node("EmbedLayerNormalization", ["ids", "", "words", "places", "", "gamma", "beta"], ["y2", "index2"])]
    constants["kinds_"] = constants.pop("kinds")
    save(root, "embed-norm", nodes, [{"ids": ids, "kinds": kinds, "mask": mask}], constants,
         {"y": "float32", "index": "int32", "sum": "float32", "y2": "float32", "index2": "int32"})


def gather_blocks(root):
    bytes_ = rng.integers(0, 256, (20, 16)).astype(numpy.uint8)
    constants = {"eight": rng.integers(0, 256, (20, 32)).astype(numpy.uint8), "four": bytes_,
                 "s": rand(20, 2), "z4": rng.integers(0, 256, (20, 1)).astype(numpy.uint8), "z8": rng.integers(0, 256, (20, 2)).astype(numpy.uint8),
                 "wide": rand(3, 1, 5)}
    nibbles = rng.integers(0, 16, (3, 16, 5))
    constants["deep"] = helper.make_tensor("deep", TensorProto.UINT4, (3, 16, 5), nibbles.flatten())
    nodes = [node("GatherBlockQuantized", ["four", "at", "s"], ["y0"], bits=4, block_size=16, quantize_axis=1),
             node("GatherBlockQuantized", ["four", "at", "s", "z4"], ["y1"], bits=4, block_size=16, quantize_axis=1),
             node("GatherBlockQuantized", ["eight", "at", "s", "z8"], ["y2"], bits=8, block_size=16, quantize_axis=1),
             node("GatherBlockQuantized", ["deep", "at2", "wide"], ["y3"], block_size=16, quantize_axis=1, gather_axis=0)]
    save(root, "gather-blocks", nodes, [{"at": rng.integers(0, 20, (2, 3)), "at2": numpy.array([2, 0], numpy.int64)}], constants,
         {f"y{i}": "float32" for i in range(4)})


def group_query(root, name, extra, inputs=(), constants=None, bias=False, steps=((0, 5, 0), (6, 1, 6)), capacity=0, outputs=("y", "key", "value")):
    """Steps of grouped attention of four heads of queries over two of keys, with places turned: for each how many rows the cache holds, how
    many are new, and how many there were before; a prompt and a token if nothing else is said."""
    heads, kv, size, places = 4, 2, 16, 64
    turn = numpy.outer(numpy.arange(places), 10000 ** (-numpy.arange(size // 2) / (size // 2)))
    constants = {"cos": numpy.cos(turn).astype(numpy.float32), "sin": numpy.sin(turn).astype(numpy.float32)} | (constants or {})
    operands = ["x", "", "", "past_key", "past_value", "last", "total", "cos", "sin", "", "bias" if bias else "", *inputs]
    attributes = {"num_heads": heads, "kv_num_heads": kv, "do_rotary": 1} | extra
    session_nodes = [node("GroupQueryAttention", operands, ["y", "key", "value"], **attributes)]
    width = (heads + 2 * kv) * size

    batch = 1 if capacity else 2

    def step(past, rows, first):
        key, value = (numpy.zeros((batch, kv, capacity or past, size), numpy.float32) for _ in range(2))
        key[:, :, :past], value[:, :, :past] = rand(batch, kv, past, size), rand(batch, kv, past, size)
        feeds = {"x": rand(batch, rows, width), "past_key": key, "past_value": value,
                 "last": numpy.full((batch,), first + rows - 1, numpy.int32), "total": numpy.array(first + rows, numpy.int32)}
        if bias:
            feeds["bias"] = rand(1, 1, rows, first + rows)
        return feeds

    sets = [step(*s) for s in steps]
    axes = {"x": ["batch", "rows", width], "past_key": ["batch", kv, "past", "size"], "past_value": ["batch", kv, "past", "size"], "last": ["batch"]}
    if bias:
        axes["bias"] = [1, 1, "rows", "keys"]
    save(root, name, session_nodes, sets, constants, {k: "float32" for k in outputs}, axes)


def decoder(root):
    """A decoder as ONNX Runtime's model builder writes them: the lengths of sequences come from the mask, and all there is of the places.
    tokens.txt holds a prompt and what follows it greedily."""
    heads, kv, size, words, places = 4, 2, 16, 40, 64
    width, turn = heads * size, numpy.outer(numpy.arange(places), 10000 ** (-numpy.arange(size // 2) / (size // 2)))
    constants = {"words": rand(words, width), "qkv": rand(width, (heads + 2 * kv) * size) / 8, "out": rand(width, width) / 4, "head": rand(width, words),
                 "gamma": rand(width) ** 2, "cos": numpy.cos(turn).astype(numpy.float32), "sin": numpy.sin(turn).astype(numpy.float32),
                 "one": numpy.array([1]), "axis": numpy.array(1)}
    plain = helper.make_node
    nodes = [plain("ReduceSum", ["mask", "one"], ["count"], keepdims=0), plain("Sub", ["count", "one"], ["last"]), plain("Cast", ["last"], ["last32"], to=TensorProto.INT32),
             plain("Shape", ["mask"], ["shape"]), plain("Gather", ["shape", "axis"], ["total"]), plain("Cast", ["total"], ["total32"], to=TensorProto.INT32),
             plain("Gather", ["words", "ids"], ["x"]), plain("SimplifiedLayerNormalization", ["x", "gamma"], ["n"], epsilon=1e-6), plain("MatMul", ["n", "qkv"], ["packed"]),
             node("GroupQueryAttention", ["packed", "", "", "past_key", "past_value", "last32", "total32", "cos", "sin"], ["y", "key", "value"], num_heads=heads, kv_num_heads=kv, do_rotary=1),
             plain("MatMul", ["y", "out"], ["z"]), node("SkipSimplifiedLayerNormalization", ["x", "z", "gamma"], ["m"], epsilon=1e-6), plain("MatMul", ["m", "head"], ["logits"])]
    cache = numpy.zeros((1, kv, 0, size), numpy.float32)
    first = {"ids": numpy.array([[3, 1, 4, 1, 5]]), "mask": numpy.ones((1, 5), numpy.int64), "past_key": cache, "past_value": cache}
    axes = {"ids": ["batch", "rows"], "mask": ["batch", "total"], "past_key": ["batch", kv, "past", "size"], "past_value": ["batch", kv, "past", "size"]}
    save(root, "decoder", nodes, [first], constants, {"logits": "float32", "key": "float32", "value": "float32"}, axes)
    session, feeds, tokens = onnxruntime.InferenceSession(str(root / "decoder" / "model.onnx"), providers=["CPUExecutionProvider"]), first, []
    for _ in range(24):
        logits, key, value = session.run(["logits", "key", "value"], feeds)
        tokens.append(int(logits[0, -1].argmax()))
        feeds = {"ids": numpy.array([tokens[-1:]]), "mask": numpy.ones((1, key.shape[2] + 1), numpy.int64), "past_key": key, "past_value": value}
    lines = [",".join(map(str, t)) for t in ([int(t) for t in first["ids"][0]], tokens)]
    (root / "decoder" / "tokens.txt").write_text("\n".join(lines) + "\n")


def experts(root):
    nodes, constants, outputs = [], {}, {}
    width, inner, count = 8, 6, 4
    ways = [("relu", 1, {"k": 2, "normalize_routing_weights": 1}), ("gelu", 1, {"k": 1}), ("silu", 1, {"k": 3}),
            ("swiglu", 2, {"k": 2, "normalize_routing_weights": 1, "swiglu_fusion": 1, "activation_alpha": 1.702, "activation_beta": 1.0, "swiglu_limit": 1.5})]
    for i, (name, parts, extra) in enumerate(ways):
        constants |= {f"a{i}": rand(count, parts * inner, width), f"c{i}": rand(count, parts * inner), f"b{i}": rand(count, width, inner), f"d{i}": rand(count, width)}
        nodes.append(node("MoE", ["x", "r", f"a{i}", f"c{i}", f"b{i}", f"d{i}"], [f"y{i}"], activation_type=name, **extra))
        outputs[f"y{i}"] = "float32"
    save(root, "experts", nodes, [{"x": rand(7, width), "r": rand(7, count)}], constants, outputs)


def quantised_experts(root):
    nodes, constants, outputs = [], {}, {}
    width, inner, count = 32, 16, 4
    ways = [(4, 16, "swiglu", 2, {"swiglu_fusion": 1, "activation_alpha": 1.702, "activation_beta": 1.0, "swiglu_limit": 2.0}),
            (4, 0, "silu", 1, {}), (8, 0, "relu", 1, {}), (4, 16, "gelu", 1, {})]
    for i, (bits, block, kind, parts, extra) in enumerate(ways):
        operands = ["x", "r"] + [""] * 11
        for at, name, out, inside in ((2, f"a{i}", parts * inner, width), (5, f"b{i}", width, inner)):
            constants[name] = rng.integers(0, 256, (count, out, inside * bits // 8)).astype(numpy.uint8)
            constants["s" + name] = (0.02 + 0.1 * rng.random((count, out, inside // block) if block else (count, out))).astype(numpy.float32) / (1 if bits == 4 else 16)
            constants["c" + name] = rand(count, out)
            operands[at:at + 3] = [name, "s" + name, "c" + name]
        if i == 3:
            constants |= {f"z{k}": rng.integers(0, 256, shape).astype(numpy.uint8) for k, shape in enumerate([(count, inner, 1), (count, width, 1)])}
            operands[11:13] = ["z0", "z1"]
        extra |= {"block_size": block} if block else {}
        nodes.append(node("QMoE", operands, [f"y{i}"], activation_type=kind, k=2, normalize_routing_weights=1, expert_weight_bits=bits, **extra))
        outputs[f"y{i}"] = "float32"
    save(root, "experts-quantised", nodes, [{"x": rand(2, 3, width), "r": rand(6, count)}], constants, outputs)


def quantised_attention(root):
    width, heads, rows = 16, 2, 5
    byte, small = lambda *shape: rng.integers(0, 256, shape).astype(numpy.uint8), lambda *shape: rng.integers(-127, 128, shape).astype(numpy.int8)
    number = lambda x, kind=numpy.float32: numpy.array(x, kind)
    constants = {"w": small(width, 3 * width), "bias": rand(3 * width), "xs": number(0.02), "ws": number(0.004), "xz": number(121, numpy.uint8), "wz": number(0, numpy.int8),
                 "each": (0.002 + 0.004 * rng.random(3 * width)).astype(numpy.float32), "eachz": numpy.zeros(3 * width, numpy.int8),
                 "words": byte(30, width), "places": byte(9, width), "kinds": byte(2, width), "gamma": byte(width), "beta": byte(width)}
    constants |= {"s" + k: number(0.01 + 0.02 * rng.random()) for k in ("words", "places", "kinds", "gamma", "beta")}
    constants |= {"z" + k: number(rng.integers(100, 150), numpy.uint8) for k in ("words", "places", "kinds", "gamma", "beta")}
    tables = ["words", "places", "kinds", "gamma", "beta"]
    nodes = [node("QAttention", ["x", "w", "bias", "xs", "ws", "mask", "xz", "wz"], ["y0"], num_heads=heads),
             node("QAttention", ["x", "w", "bias", "xs", "each", "", "xz", "eachz"], ["y1"], num_heads=heads, unidirectional=1),
             node("QEmbedLayerNormalization", ["ids", "segments", *tables, "tokens"] + ["s" + k for k in tables] + ["z" + k for k in tables], ["y2", "count"])]
    feeds = {"x": byte(2, rows, width), "mask": numpy.array([5, 3], numpy.int32), "ids": rng.integers(0, 30, (2, 6)).astype(numpy.int32),
             "segments": rng.integers(0, 2, (2, 6)).astype(numpy.int32), "tokens": numpy.array([[1] * 6, [1] * 4 + [0] * 2], numpy.int32)}
    save(root, "attention-quantised", nodes, [feeds], constants, {"y0": "float32", "y1": "float32", "y2": "float32", "count": "int32"})


def fused_matmul(root):
    """Products with more batch axes than a kernel takes, broadcast or not."""
    nodes = [node("FusedMatMul", ["a", "b"], ["y0"], transB=1, alpha=0.5), helper.make_node("MatMul", ["a", "c"], ["y1"]), helper.make_node("MatMul", ["c2", "a"], ["y2"]),
             node("FusedMatMul", ["b", "b"], ["y3"], transBatchA=1, transBatchB=1, transB=1, alpha=2.0), node("FusedMatMul", ["a", "a"], ["y4"], transBatchA=1, transBatchB=1, transB=1),
             node("FusedMatMul", ["a", "a"], ["y5"], transBatchA=1, transA=1, transBatchB=1)]
    feeds = {"a": rand(2, 3, 1, 2, 4, 5), "b": rand(2, 1, 2, 2, 3, 5), "c": rand(5, 6), "c2": rand(3, 4)}
    outputs = {f"y{i}": "float32" for i in range(6)}
    axes = {"a": ["batch", 3, 1, 2, 4, 5], "b": ["batch", 1, 2, 2, 3, 5]}
    save(root, "fused-matmul", nodes, [feeds], {}, outputs, axes)


def products_of_bytes(root):
    """Integer products of operands that are computed, over an inner axis of open length, and convolutions with weights of nine bits."""
    sets = [{"a": rng.integers(0, 256, (2, 3, k), numpy.uint8), "b": rng.integers(-128, 128, (2, k, 5), numpy.int8), "t": rng.integers(0, 256, (2, 5, k), numpy.uint8),
             "za": numpy.array(131, numpy.uint8), "zr": rng.integers(0, 256, (3,), numpy.uint8)} for k in (9, 1030)]
    constants = {"zb": numpy.array(-7, numpy.int8), "zc": rng.integers(-128, 128, (2, 1, 5), numpy.int8), "s": numpy.array(0.01, numpy.float32),
                 "wide": numpy.array(2.5, numpy.float32), "zy": numpy.array(-3, numpy.int8), "zt": numpy.array(100, numpy.uint8),
                 "w": rng.integers(0, 256, (4, 2, 2, 16, 16), numpy.uint8)}
    constants["g"] = rng.integers(0, 256, (2, 1, 2, 16, 16), numpy.uint8)
    constants["v"] = rng.integers(250, 256, (16, 3), numpy.uint8)
    for feeds in sets:
        feeds["x"] = rng.integers(0, 256, (1, 2, 2, 32, 16), numpy.uint8)
    plain = helper.make_node
    nodes = [plain("MatMulInteger", ["a", "b"], ["y0"]), plain("MatMulInteger", ["a", "b", "za", "zb"], ["y1"]),
             plain("MatMulInteger", ["a", "b", "za", "zc"], ["y2"]),
             plain("Transpose", ["t"], ["u"], perm=[0, 2, 1]), plain("MatMulInteger", ["a", "u", "za", "zt"], ["y3"]),
             plain("Cast", ["y3"], ["f"], to=TensorProto.FLOAT), plain("Neg", ["f"], ["y4"]),
             plain("Transpose", ["b"], ["c"], perm=[0, 2, 1]), plain("QLinearMatMul", ["c", "s", "zb", "b", "s", "zb", "wide", "zy"], ["y5"]),
             plain("ConvInteger", ["x", "w"], ["y6"], strides=[2, 16, 16]), plain("MatMulInteger", ["x", "v"], ["y7"]),
             plain("ConvInteger", ["x", "g"], ["y8"], strides=[2, 16, 16], group=2)]
    axes = {"a": [2, 3, "k"], "b": [2, "k", 5], "t": [2, 5, "k"]}
    save(root, "products-of-bytes", nodes, sets, constants, {"y0": "int32", "y1": "int32", "y2": "int32", "y3": "int32", "y4": "float32", "y5": "int8", "y6": "int32", "y7": "int32", "y8": "int32"}, axes)


def resized_bytes(root):
    """Images of quantised models made larger and smaller between their pixels."""
    plain = helper.make_node
    nodes = [plain("Resize", ["x", "", "", "two"], ["y0"], mode="linear"),
             plain("Resize", ["x", "", "some"], ["y1"], mode="linear"), plain("Resize", ["z", "", "some"], ["y2"], mode="linear")]
    feeds = {"x": rng.integers(0, 256, (2, 3, 5, 4), numpy.uint8), "z": rng.integers(-128, 128, (2, 3, 5, 4), numpy.int8)}
    constants = {"two": numpy.array([2, 3, 10, 8], numpy.int64), "some": numpy.array([1, 1, 0.7, 1.9], numpy.float32)}
    save(root, "resized-bytes", nodes, [feeds], constants, {"y0": "uint8", "y1": "uint8", "y2": "int8"})


def resized_open(root):
    """Images of open size made larger and smaller: by scales that are whole or not, and to a size that another input has."""
    plain = helper.make_node
    scales = {"twice": (1, 1, 2, 2), "half": (1, 1, 0.5, 1.5), "quarter": (1, 1, 1.25, 0.75)}
    nodes, outputs = [plain("Shape", ["z"], ["all"]), plain("Slice", ["all", "two", "four"], ["last"]), plain("Shape", ["x"], ["own"]),
                      plain("Slice", ["own", "none", "two"], ["first"]), plain("Concat", ["first", "last"], ["to"], axis=0)], {}
    ways = [("linear", "half_pixel"), ("linear", "asymmetric"), ("cubic", "pytorch_half_pixel")]
    for name in scales:
        for mode, coordinates in ways + [("linear", "align_corners")] * (name == "twice"):
            outputs[f"{name}-{mode}-{coordinates}"] = "float32"
            nodes.append(plain("Resize", ["x", "", name], [list(outputs)[-1]], mode=mode, coordinate_transformation_mode=coordinates))
    for name, operands in {"half": ["", "half"], "to": ["", "", "to"]}.items():
        outputs[f"{name}-nearest"] = "float32"
        nodes.append(plain("Resize", ["x"] + operands, [f"{name}-nearest"], mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"))
    sets = [{"x": rand(2, 3, h, w), "z": rand(1, 2, *to)} for h, w, to in ((5, 4, (7, 9)), (8, 11, (3, 16)))]
    constants = {k: numpy.array(v, numpy.float32) for k, v in scales.items()}
    constants |= {k: numpy.array([v], numpy.int64) for k, v in {"none": 0, "two": 2, "four": 4}.items()}
    save(root, "resized-open", nodes, sets, constants, outputs, {"x": ("n", 3, "h", "w"), "z": (1, 2, "p", "q")})


def resized_early(root):
    """Resize as opset 10 has it, with but one way to count places."""
    nodes = [helper.make_node("Resize", ["x", s], [f"{s}-{mode}"], mode=mode) for s in ("twice", "half") for mode in ("nearest", "linear")]
    constants = {"twice": numpy.array((1, 1, 2, 2), numpy.float32), "half": numpy.array((1, 1, 0.5, 1.5), numpy.float32)}
    feeds = {"x": rand(2, 3, 5, 7)}
    save(root, "resized-early", nodes, [feeds], constants, {n.output[0]: "float32" for n in nodes}, {"x": ("n", 3, "h", "w")}, opset=10)


MODELS = [  # add at the end: a model's place is its seed
    fused_conv,
    fused_gemm,
    embed_norm,
    gather_blocks,
    lambda root: group_query(root, "group-query", {}),
    lambda root: group_query(root, "group-query-bias", {"local_window_size": 4}, bias=True),
    lambda root: group_query(root, "group-query-sink", {}, ["sink"], {"sink": rand(4)}),
    lambda root: group_query(root, "group-query-smooth", {"smooth_softmax": 1, "softcap": 3.0}),
    lambda root: group_query(root, "group-query-window", WINDOW, capacity=8, steps=((0, 5, 0), (5, 1, 5), (8, 1, 8), (4, 1, 9), (6, 7, 11)), outputs=["y"]),
    lambda root: group_query(root, "group-query-window-cache", WINDOW, capacity=8, steps=((3, 5, 3), (4, 4, 9), (8, 5, 13))),  # full afterwards
    decoder,
    experts,
    quantised_experts,
    quantised_attention,
    fused_matmul,
    products_of_bytes,
    resized_bytes,
    resized_open,
    resized_early,
]


def main():
    global rng
    for seed, make in enumerate(MODELS):
        rng = numpy.random.default_rng(seed)
        make(pathlib.Path(sys.argv[1]))


if __name__ == "__main__":
    main()
