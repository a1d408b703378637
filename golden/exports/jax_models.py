#!/usr/bin/env python3
"""Makes small models with random weights by Flax and exports them with jax2onnx. Results are ONNX Runtime's, its optimiser off.

usage: jax_models.py DIR        (writes DIR/jax-NAME/model.onnx and DIR/jax-NAME/test_data_set_0)
needs: pip install jax==0.10.2 flax==0.12.8 jax2onnx==0.17.1 onnxruntime==1.32.0
"""
import os
import pathlib
import sys

os.environ["JAX_PLATFORMS"] = "cpu"
import jax
import numpy
import onnx
import onnxruntime
from flax import nnx
from jax import numpy as jnp
from jax2onnx import to_onnx
from onnx import numpy_helper


class Transformer(nnx.Module):
    def __init__(self, rngs, causal, norm):
        self.embed, self.causal = nnx.Embed(24, 16, rngs=rngs), causal
        self.first, self.second = norm(16, rngs=rngs), norm(16, rngs=rngs)
        self.attention = nnx.MultiHeadAttention(num_heads=2, in_features=16, decode=False, rngs=rngs)
        self.up, self.down = nnx.Linear(16, 24, rngs=rngs), nnx.Linear(24, 16, rngs=rngs)

    def __call__(self, tokens):
        x = self.embed(tokens)
        x = x + self.attention(self.first(x), mask=nnx.make_causal_mask(tokens) if self.causal else None)
        return x + self.down(nnx.gelu(self.up(self.second(x))))


class Image(nnx.Module):
    def __init__(self, rngs):
        self.a, self.b = nnx.Conv(3, 8, (3, 3), strides=(2, 2), rngs=rngs), nnx.Conv(8, 8, (3, 3), feature_group_count=8, rngs=rngs)
        self.norm, self.out = nnx.GroupNorm(8, num_groups=2, rngs=rngs), nnx.Linear(8, 3, rngs=rngs)

    def __call__(self, x):
        x = nnx.max_pool(nnx.relu(self.a(x)), window_shape=(2, 2), strides=(2, 2))
        return self.out(nnx.silu(self.norm(self.b(x))).mean((1, 2)))


def tokens(rng):
    return rng.integers(0, 24, (2, 7)).astype(numpy.int32)


MODELS = {
    "encoder": (lambda rngs: Transformer(rngs, False, nnx.LayerNorm), tokens, ("B", "T")),
    "causal": (lambda rngs: Transformer(rngs, True, nnx.RMSNorm), tokens, ("B", 7)),
    "image": (Image, lambda rng: rng.standard_normal((2, 12, 16, 3)).astype(numpy.float32), ("B", 12, 16, 3)),
}


def disturbed(model):
    """Weights that are all the same, as biases are at first, become different."""
    rng = numpy.random.default_rng(2)
    graph, state = nnx.split(model)

    def change(a):
        if not hasattr(a, "dtype") or jnp.issubdtype(a.dtype, jax.dtypes.prng_key):
            return a
        b = numpy.asarray(a)
        if b.dtype.kind == "f" and b.size and (b == b.ravel()[0]).all():
            b = (b + 0.2 * rng.random(b.shape)).astype(b.dtype)
        return jnp.asarray(b)

    return nnx.merge(graph, jax.tree.map(change, state))


def export(root, name, make, feed, shape):
    model = disturbed(make(nnx.Rngs(1)))
    model.eval()
    x = feed(numpy.random.default_rng(3))
    folder = root / f"jax-{name}"
    sets = folder / "test_data_set_0"
    sets.mkdir(parents=True, exist_ok=True)
    onnx.save(to_onnx(model, inputs=[jax.ShapeDtypeStruct(shape, x.dtype)], model_name=name), folder / "model.onnx")
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"])
    i = session.get_inputs()[0]
    (sets / "input_0.pb").write_bytes(numpy_helper.from_array(x, i.name).SerializeToString())
    for k, (o, y) in enumerate(zip(session.get_outputs(), session.run(None, {i.name: x}))):
        (sets / f"output_{k}.pb").write_bytes(numpy_helper.from_array(y, o.name).SerializeToString())


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    for name, (make, feed, shape) in MODELS.items():
        export(pathlib.Path(sys.argv[1]), name, make, feed, shape)
