#!/usr/bin/env python3
"""Makes a quantised model of a model with ONNX Runtime's quantisers, for families.py.

usage: quantise.py dynamic|QDQ|QOperator|4x32|4x128z|8x32|… DIR OUT
DIR holds model.onnx and data sets; OUT gets the quantised model and the same data sets, whose outputs are then those of the float model.
QDQ and QOperator are calibrated on seeded random inputs and have a scale for each output channel where the format allows it; weights are i8,
activations u8. 4x32 is MatMulNBits: weights of 4 bits in blocks of 32, with z zero points too.
needs: pip install onnxruntime onnx onnx_ir numpy
"""
import os, shutil, sys
import numpy as np
import onnx
import onnxruntime as ort
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static
from onnxruntime.quantization.matmul_nbits_quantizer import DefaultWeightOnlyQuantConfig, MatMulNBitsQuantizer

SAMPLES = 2


class Random(CalibrationDataReader):
    def __init__(self, model):
        self.inputs, self.count = ort.InferenceSession(model).get_inputs(), 0

    def get_next(self):
        self.count += 1
        if self.count > SAMPLES:
            return None
        rng = np.random.default_rng(self.count)
        feed = {}
        for i in self.inputs:
            shape = [d if isinstance(d, int) else (1 if axis == 0 else 32) for axis, d in enumerate(i.shape)]
            feed[i.name] = rng.standard_normal(shape).astype(np.float32) if "float" in i.type else np.ones(shape, np.int64)
        return feed


def few_bits(model, to, bits, block, symmetric):
    config = DefaultWeightOnlyQuantConfig(block_size=int(block), is_symmetric=symmetric, accuracy_level=0, bits=int(bits))
    quantizer = MatMulNBitsQuantizer(onnx.load(model), algo_config=config)
    quantizer.process()
    quantizer.model.save_model_to_file(to, True)


def main():
    kind, src, out = sys.argv[1:4]
    model, to = os.path.join(src, "model.onnx"), os.path.join(out, "model.onnx")
    os.makedirs(out, exist_ok=True)
    if kind == "dynamic":
        quantize_dynamic(model, to, weight_type=QuantType.QInt8)
    elif "x" in kind:
        few_bits(model, to, *kind.rstrip("z").split("x"), symmetric=not kind.endswith("z"))
    else:
        quantize_static(model, to, Random(model), quant_format=QuantFormat[kind], per_channel=True, weight_type=QuantType.QInt8,
                        activation_type=QuantType.QUInt8)
    for name in os.listdir(src):
        if name.startswith("test_data_set"):
            shutil.copytree(os.path.join(src, name), os.path.join(out, name), dirs_exist_ok=True)


if __name__ == "__main__":
    main()
