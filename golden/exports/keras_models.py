#!/usr/bin/env python3
"""Makes small models with random weights by Keras and exports them with tf2onnx: what TensorFlow's users have. Results are ONNX Runtime's,
its optimiser off.

usage: keras_models.py DIR        (writes DIR/keras-NAME/model.onnx and DIR/keras-NAME/test_data_set_0)
needs: pip install tensorflow-cpu==2.21.0 keras==3.15.1 keras-hub==0.32.0 tf2onnx==1.17.0 onnxruntime==1.32.0
"""
import os
import pathlib
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"], os.environ["CUDA_VISIBLE_DEVICES"] = "3", ""
import keras
import keras_hub
import numpy
import onnxruntime
import tensorflow
import tf2onnx
from onnx import numpy_helper

layers, hub = keras.layers, keras_hub.models
SIZES = dict(vocabulary_size=24, num_layers=1, hidden_dim=16, intermediate_dim=24)
BERT = dict(SIZES, num_heads=2, max_sequence_length=12)
LLAMA = dict(SIZES, num_query_heads=4, num_key_value_heads=2)


def tokens(n):
    return lambda rng: rng.integers(0, 24, (2, n)).astype(numpy.int32)


def mask(n):
    return lambda rng: (numpy.arange(n) < [[n], [n * 2 // 3]]).astype(numpy.int32)


def real(*shape):
    return lambda rng: rng.standard_normal((2, *shape)).astype(numpy.float32)


def encoder():
    i = layers.Input((None,), dtype="int32", name="tokens")
    x = layers.Embedding(24, 16, mask_zero=True)(i)
    x = layers.LayerNormalization()(x + layers.MultiHeadAttention(2, 8)(x, x))
    x = layers.LayerNormalization()(x + layers.Dense(16)(layers.Dense(24, activation="silu")(x)))
    return keras.Model(i, layers.Dense(4)(layers.GlobalAveragePooling1D()(x)))


def causal():
    i = layers.Input((None,), dtype="int32", name="tokens")
    x = layers.Embedding(24, 16)(i)
    n = layers.LayerNormalization()(x)
    x = x + layers.MultiHeadAttention(2, 8)(n, n, use_causal_mask=True)
    return keras.Model(i, layers.Dense(24)(layers.LayerNormalization()(x)))


def image():
    i = layers.Input((None, None, 3), name="image")
    x = layers.ZeroPadding2D(((0, 1), (0, 1)))(i)
    x = layers.BatchNormalization()(layers.Conv2D(8, 3, strides=2, activation="relu")(x))
    y = layers.DepthwiseConv2D(3, padding="same")(x)
    y = layers.Conv2D(12, 5, strides=2, padding="same")(y)
    x = layers.Conv2D(12, 1, strides=2, padding="same")(x)
    x = layers.MaxPooling2D(3, strides=2, padding="same")(x + y)
    return keras.Model(i, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))


def translator():
    e, d = layers.Input((None, 6), name="source"), layers.Input((None, 5), name="target")
    _, h, c = layers.LSTM(8, return_state=True)(e)
    y = layers.LSTM(8, return_sequences=True)(d, initial_state=[h, c])
    return keras.Model([e, d], layers.Dense(4)(layers.Attention()([y, y])))


def picked():
    rows, places = layers.Input((6, None), name="rows"), layers.Input((3, None), dtype="int32", name="places")
    return keras.Model([rows, places], keras.ops.take_along_axis(rows, places, axis=1))


PAIR = {"token_ids": tokens(9), "padding_mask": mask(9)}
MODELS = {
    "encoder": (encoder, {"tokens": tokens(9)}),
    "causal": (causal, {"tokens": tokens(7)}),
    "image": (image, {"image": real(13, 18, 3)}),
    "translator": (translator, {"source": real(6, 6), "target": real(4, 5)}),
    "bert": (lambda: hub.BertBackbone(**BERT), dict(PAIR, segment_ids=lambda rng: rng.integers(0, 2, (2, 9)).astype(numpy.int32))),
    "picked": (picked, {"rows": real(6, 5), "places": lambda rng: rng.integers(0, 6, (2, 3, 5)).astype(numpy.int32)}),
    "llama": (lambda: hub.LlamaBackbone(**LLAMA), PAIR),
    "t5": (lambda: hub.T5Backbone(**dict(SIZES, num_heads=2, key_value_dim=8)), {
        "encoder_token_ids": tokens(9), "encoder_padding_mask": mask(9), "decoder_token_ids": tokens(5), "decoder_padding_mask": mask(5)}),
}


def disturb(model):
    """Weights that are all the same, as biases are at first, become different."""
    rng = numpy.random.default_rng(2)
    for w in model.weights:
        a = numpy.array(w)
        if a.dtype.kind == "f" and a.size and (a == a.ravel()[0]).all():
            w.assign((a + 0.2 * rng.random(a.shape)).astype(a.dtype))


def export(root, name, make, makers):
    keras.backend.clear_session()
    keras.utils.set_random_seed(1)
    model = make()
    disturb(model)
    folder = root / f"keras-{name}"
    sets = folder / "test_data_set_0"
    sets.mkdir(parents=True, exist_ok=True)
    names = list(model.input) if isinstance(model.input, dict) else [t.name for t in model.inputs]
    by_name = {t.name: t for t in model.inputs}
    signature = [tensorflow.TensorSpec(by_name[n].shape, by_name[n].dtype, name=n) for n in names]

    def run(*inputs):
        if isinstance(model.input, dict):
            return model(dict(zip(names, inputs)))
        return model(list(inputs) if len(inputs) > 1 else inputs[0])

    rng = numpy.random.default_rng(3)
    feeds = {n: makers[n](rng) for n in names}
    run(*feeds.values())  # makes what layers make at their first call
    tf2onnx.convert.from_function(tensorflow.function(run, input_signature=signature), input_signature=signature, opset=17,
                                  output_path=str(folder / "model.onnx"))
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"])
    for k, i in enumerate(session.get_inputs()):
        (sets / f"input_{k}.pb").write_bytes(numpy_helper.from_array(feeds[i.name], i.name).SerializeToString())
    for k, (o, y) in enumerate(zip(session.get_outputs(), session.run(None, feeds))):
        (sets / f"output_{k}.pb").write_bytes(numpy_helper.from_array(y, o.name).SerializeToString())


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    for name, (make, makers) in MODELS.items():
        export(pathlib.Path(sys.argv[1]), name, make, makers)
