#!/usr/bin/env python3
"""Makes small models of transformers with random weights and exports them with PyTorch's TorchScript exporter, a decoder with the one of
torch.export. Results are ONNX Runtime's, its optimiser off.

usage: torch_models.py DIR        (writes DIR/torch-NAME/model.onnx and DIR/torch-NAME/test_data_set_0)
needs: pip install torch==2.15.0 transformers==4.57.1 onnx==1.23.2 onnxruntime==1.32.0
"""
import pathlib
import sys

import onnx
import onnxruntime
import torch
import transformers
from onnx import numpy_helper

SMALL = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 24}
WORDS = {"vocab_size": 24, "max_position_embeddings": 20}


def image():
    return {"pixel_values": torch.randn(2, 3, 32, 48)}


def text(length):
    mask = torch.ones(2, length, dtype=torch.long)
    mask[1, length - 3:] = 0
    return {"input_ids": torch.randint(3, 24, (2, length)), "attention_mask": mask}


def detector():
    backbone = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 8], depths=[1, 1], layer_type="basic", out_features=["stage2"])
    return transformers.DetrConfig(use_timm_backbone=False, use_pretrained_backbone=False, backbone=None, backbone_config=backbone, d_model=16,
                                   encoder_layers=1, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2,
                                   encoder_ffn_dim=24, decoder_ffn_dim=24, num_queries=4)


# Places of half a pixel from a Range of floats; lengths that counting gives; a length, and a number of sequences, that tracing has made fixed;
# a sequence halved by pooling that rounds up; a mask resized along two of its axes; windows of images of any height and width, padded and shifted.
MODELS = {
    "half-pixels": (transformers.DINOv3ViTModel, lambda: transformers.DINOv3ViTConfig(**SMALL, patch_size=8, image_size=32, num_register_tokens=2), image),
    "counted": (transformers.PhimoeForCausalLM, lambda: transformers.PhimoeConfig(
        **SMALL, **WORDS, num_key_value_heads=1, num_local_experts=2, use_cache=False), lambda: text(9)),
    "segments": (transformers.NystromformerModel, lambda: transformers.NystromformerConfig(
        **SMALL, **WORDS, num_landmarks=4, segment_means_seq_len=12), lambda: text(12)),
    "languages": (transformers.XmodModel, lambda: transformers.XmodConfig(**SMALL, **WORDS, default_language="en_XX"), lambda: text(9)),
    "halved": (transformers.FunnelModel, lambda: transformers.FunnelConfig(
        vocab_size=24, block_sizes=[1, 1], num_decoder_layers=1, d_model=16, n_head=2, d_head=8, d_inner=24), lambda: text(9)),
    "detector": (transformers.DetrModel, detector, image),
    "resolutions": (transformers.SwinModel, lambda: transformers.SwinConfig(
        image_size=32, patch_size=4, embed_dim=16, depths=[2], num_heads=[2], window_size=4), image),
}


class Plain(torch.nn.Module):
    """A model with its inputs in order and the first of its results."""

    def __init__(self, model, names):
        super().__init__()
        self.model, self.names = model, names

    def forward(self, *inputs):
        return self.model(**dict(zip(self.names, inputs)), return_dict=True)[0]


class Cached(torch.nn.Module):
    """A decoder of one layer that takes its cache and gives it longer."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, ids, mask, positions, key, value):
        past = transformers.DynamicCache.from_legacy_cache(((key, value),))
        result = self.model(input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=past, use_cache=True, return_dict=True)
        layer = result.past_key_values.layers[0]
        return result.logits, layer.keys, layer.values


class Images(torch.nn.Module):
    """Convolutions of groups, of few and of many channels, dilated and transposed, with pooling, resizing and norms between them."""

    def __init__(self):
        super().__init__()
        nn = torch.nn
        self.few, self.groups = nn.Conv2d(3, 16, 5, 2, 2), nn.Conv2d(16, 24, 3, padding=1, groups=8)
        self.more = nn.Conv2d(24, 48, 7, 2, 3, groups=24)
        self.norm, self.many = nn.GroupNorm(1, 48), nn.Conv2d(48, 64, 3, padding=6, dilation=6)
        self.batch, self.wide = nn.BatchNorm2d(64), nn.Conv2d(64, 20, 3, padding=4, dilation=4)
        self.up, self.again = nn.ConvTranspose2d(20, 12, 4, 2, 1), nn.ConvTranspose2d(12, 8, 3, 2, 1, output_padding=1, groups=4)
        self.line, self.last = nn.Conv1d(8, 8, 3, padding=5, dilation=5), nn.ConvTranspose1d(8, 6, 5, 3)

    def forward(self, x):
        f = torch.nn.functional
        x = f.mish(self.groups(f.relu(self.few(x))))
        x = f.avg_pool2d(x, 3, 1, 1, count_include_pad=False) - x
        x = self.norm(f.elu(self.more(x)))
        x = self.wide(self.batch(f.silu(self.many(x))))
        x = f.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False) + 0.1
        x = f.avg_pool2d(f.max_pool2d(x, 3, 2, 1, ceil_mode=True), 2, 2, ceil_mode=True)
        x = self.again(f.relu(self.up(x)))
        y = self.last(self.line(f.avg_pool1d(x.mean(2), 2, 2)))
        return y, f.max_pool3d(x.unsqueeze(2).expand(-1, -1, 3, -1, -1), 2, 2, 1)


def save(folder, feeds):
    """Runs a model in ONNX Runtime and keeps what it was given and gave."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"])
    at = folder / "test_data_set_0"
    at.mkdir(exist_ok=True)
    used = {i.name: feeds[i.name].numpy() for i in session.get_inputs()}
    for j, (k, v) in enumerate(used.items()):
        (at / f"input_{j}.pb").write_bytes(numpy_helper.from_array(v, k).SerializeToString())
    for j, (o, v) in enumerate(zip(session.get_outputs(), session.run(None, used))):
        (at / f"output_{j}.pb").write_bytes(numpy_helper.from_array(v, o.name).SerializeToString())


def filled(model):
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn_like(p) * 0.2)
    return model.eval()


def make(root, name):
    kind, config, inputs = MODELS[name]
    torch.manual_seed(3)
    model = filled(kind(config()))
    feeds = inputs()
    folder = root / f"torch-{name}"
    folder.mkdir(parents=True, exist_ok=True)
    axes = {k: {0: "batch"} if v.dim() > 2 else {0: "batch", 1: "length"} for k, v in feeds.items()}
    if name == "resolutions":
        axes["pixel_values"] = {0: "batch", 2: "height", 3: "width"}
    torch.onnx.export(Plain(model, list(feeds)), tuple(feeds.values()), str(folder / "model.onnx"), dynamo=False, opset_version=17,
                      input_names=list(feeds), output_names=["y"], dynamic_axes=axes)
    save(folder, feeds)


def make_cached(root):
    """Every cache has a length of its own, which are the same."""
    torch.manual_seed(3)
    model = filled(transformers.Qwen2ForCausalLM(transformers.Qwen2Config(**SMALL, **WORDS, num_key_value_heads=1)))
    mask = torch.ones(2, 7, dtype=torch.long)
    mask[1, :2] = 0
    feeds = {"ids": torch.randint(3, 24, (2, 3)), "mask": mask, "positions": (mask.cumsum(1) - 1).clamp(min=0)[:, 4:],
             "key": torch.randn(2, 1, 4, 8), "value": torch.randn(2, 1, 4, 8)}
    any_size = torch.export.Dim.DYNAMIC
    sizes = [{0: any_size, 1 if v.dim() == 2 else 2: any_size} for v in feeds.values()]
    folder = root / "torch-cached"
    folder.mkdir(parents=True, exist_ok=True)
    torch.onnx.export(Cached(model), tuple(feeds.values()), str(folder / "model.onnx"), dynamo=True, dynamic_shapes=sizes, external_data=False,
                      input_names=list(feeds), output_names=["scores", "new_key", "new_value"], verbose=False)
    exported = onnx.load(folder / "model.onnx")
    for part in (*exported.graph.node, *exported.graph.value_info, *exported.graph.input, *exported.graph.output, *exported.graph.initializer, exported.graph, exported):
        del part.metadata_props[:]  # lines of the exporting machine's files
    onnx.save(exported, folder / "model.onnx")
    save(folder, feeds)


def make_images(root):
    torch.manual_seed(3)
    model, feeds = filled(Images()), {"x": torch.randn(2, 3, 36, 44)}
    folder = root / "torch-images"
    folder.mkdir(parents=True, exist_ok=True)
    torch.onnx.export(model, tuple(feeds.values()), str(folder / "model.onnx"), dynamo=False, opset_version=17, input_names=["x"],
                      output_names=["y", "z"], dynamic_axes={"x": {0: "batch"}})
    save(folder, feeds)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    for name in MODELS:
        make(pathlib.Path(sys.argv[1]), name)
    make_cached(pathlib.Path(sys.argv[1]))
    make_images(pathlib.Path(sys.argv[1]))
