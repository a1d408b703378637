#!/usr/bin/env python3
"""Makes stand-ins for systems that no model beside this repository stands for: small PyTorch modules of their architecture with seeded
weights, exported to ONNX, and PyTorch's outputs for seeded inputs.

usage: make.py DIR        (writes DIR/NAME/model.onnx and DIR/NAME/test_data_set_N)
needs: pip install torch==2.15.0 onnx==1.23.2 onnxscript numpy
"""
import pathlib
import sys

import numpy
import onnx
import torch
from onnx import numpy_helper
from torch import nn
from torch.nn import functional


class Seq2Seq(nn.Module):
    """Sutskever, Vinyals, Le 2014: two layers of LSTM read the source backwards, two more write the target; attention over the
    encoder's states as in Luong, Pham, Manning 2015."""

    def __init__(self, words=60, width=32):
        super().__init__()
        self.source, self.target = nn.Embedding(words, width), nn.Embedding(words, width)
        self.encoder = nn.LSTM(width, width, num_layers=2, batch_first=True)
        self.decoder = nn.LSTM(width, width, num_layers=2, batch_first=True)
        self.join, self.out = nn.Linear(2 * width, width), nn.Linear(width, words)

    def forward(self, source, target):
        states, last = self.encoder(self.source(source.flip(1)))
        h, _ = self.decoder(self.target(target), last)
        weights = torch.softmax(h @ states.transpose(1, 2), -1)
        return self.out(torch.tanh(self.join(torch.cat([weights @ states, h], -1))))


class RMSNorm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(1 + 0.1 * torch.randn(width))

    def forward(self, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * self.weight


class ParallelBlock(nn.Module):
    """Dehghani et al. 2023 (ViT-22B): attention and MLP read the same norm and are summed; queries and keys are normed; norms neither
    centre nor shift, and the projections of attention have no bias."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads, each = heads, width // heads
        self.norm, self.q_norm, self.k_norm = RMSNorm(width), RMSNorm(each), RMSNorm(each)
        self.into = nn.Linear(width, 3 * width, bias=False)
        self.attended = nn.Linear(width, width, bias=False)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        y = self.norm(x)
        q, k, v = (t.reshape(*t.shape[:2], self.heads, -1).transpose(1, 2) for t in self.into(y).chunk(3, -1))
        a = functional.scaled_dot_product_attention(self.q_norm(q), self.k_norm(k), v)
        return x + self.attended(a.transpose(1, 2).flatten(2)) + self.down(functional.gelu(self.up(y)))


class ViT22B(nn.Module):
    """Patches, parallel blocks, and a head that pools by attention of one learned query."""

    def __init__(self, size=32, patch=8, width=48, heads=4, labels=10):
        super().__init__()
        self.patches = nn.Conv2d(3, width, patch, patch)
        self.places = nn.Parameter(0.02 * torch.randn(1, (size // patch) ** 2, width))
        self.blocks = nn.ModuleList(ParallelBlock(width, heads) for _ in range(2))
        self.norm, self.query = RMSNorm(width), nn.Parameter(torch.randn(1, 1, width))
        self.pool, self.head = nn.MultiheadAttention(width, heads, batch_first=True), nn.Linear(width, labels)

    def forward(self, pixels):
        x = self.patches(pixels).flatten(2).transpose(1, 2) + self.places
        for block in self.blocks:
            x = block(x)
        x = self.norm(x)
        return self.head(self.pool(self.query.expand(x.shape[0], -1, -1), x, x, need_weights=False)[0][:, 0])


class Block(nn.Module):
    """BERT's layer: norms after the sums, a mask of what may be read."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v, self.o = (nn.Linear(width, width) for _ in range(4))
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, x, bias):
        def split(t):
            return t.view(t.shape[0], t.shape[1], self.heads, -1).transpose(1, 2)

        scores = split(self.q(x)) @ split(self.k(x)).transpose(2, 3) / (x.shape[-1] // self.heads) ** 0.5 + bias
        a = (torch.softmax(scores, -1) @ split(self.v(x))).transpose(1, 2).reshape(x.shape)
        x = self.norm1(x + self.o(a))
        return self.norm2(x + self.down(functional.gelu(self.up(x))))


class VideoBERT(nn.Module):
    """Sun et al. 2019: words and the cluster numbers of clips are one sequence; hidden ones of both kinds are guessed, and whether the
    two belong together."""

    def __init__(self, words=70, clips=50, width=48, heads=4):
        super().__init__()
        self.words, self.clips = nn.Embedding(words, width), nn.Embedding(clips, width)
        self.places, self.kinds = nn.Embedding(64, width), nn.Embedding(2, width)
        self.norm = nn.LayerNorm(width)
        self.layers = nn.ModuleList(Block(width, heads) for _ in range(2))
        self.word, self.clip, self.pair = nn.Linear(width, words), nn.Linear(width, clips), nn.Linear(width, 2)

    def forward(self, word_ids, clip_ids, mask):
        n = word_ids.shape[1]
        x = torch.cat([self.words(word_ids) + self.kinds.weight[0], self.clips(clip_ids) + self.kinds.weight[1]], 1)
        x = self.norm(x + self.places(torch.arange(x.shape[1])))
        bias = (1.0 - mask[:, None, None, :].to(x.dtype)) * -10000.0
        for layer in self.layers:
            x = layer(x, bias)
        return self.word(x[:, :n]), self.clip(x[:, n:]), self.pair(torch.tanh(x[:, 0]))


class AllInOne(nn.Module):
    """Wang et al. 2023: one transformer reads text and the patches of every frame; between layers a quarter of each frame's tokens
    rolls on to the next frame, which is all there is in time."""

    def __init__(self, words=70, frames=3, size=16, patch=8, width=48, heads=4):
        super().__init__()
        self.frames, self.patches = frames, nn.Conv2d(3, width, patch, patch)
        self.words, self.text_places = nn.Embedding(words, width), nn.Embedding(16, width)
        self.places = nn.Parameter(0.02 * torch.randn(1, 1, (size // patch) ** 2, width))
        self.times = nn.Parameter(0.02 * torch.randn(1, frames, 1, width))
        self.layers = nn.ModuleList(Block(width, heads) for _ in range(2))
        self.match = nn.Linear(width, 2)

    def forward(self, ids, video):
        b, n = ids.shape
        text = self.words(ids) + self.text_places(torch.arange(n))
        v = self.patches(video.flatten(0, 1)).flatten(2).transpose(1, 2)
        v = v.reshape(b, self.frames, v.shape[1], v.shape[2]) + self.places + self.times
        bias = torch.zeros(1, 1, 1, 1)
        for layer in self.layers:
            rolled = v.shape[2] // 4
            v = torch.cat([torch.roll(v[:, :, :rolled], 1, 1), v[:, :, rolled:]], 2)
            each = torch.cat([text[:, None].expand(-1, self.frames, -1, -1), v], 2).flatten(0, 1)
            each = layer(each, bias).reshape(b, self.frames, n + v.shape[2], -1)
            text, v = each[:, :, :n].mean(1), each[:, :, n:]
        return self.match(text[:, 0])


def ids(most, *shape):
    return torch.randint(0, most, shape)


def mask(batch, length, ends):
    m = torch.ones(batch, length, dtype=torch.int64)
    m[-1, length - ends:] = 0
    return m


STANDINS = {
    "lstm-seq2seq": (Seq2Seq, ["source", "target"], {"source": ["batch", "from"], "target": ["batch", "to"]},
                     lambda: [(ids(60, 2, 7), ids(60, 2, 5)), (ids(60, 1, 11), ids(60, 1, 3))], False),
    "vit-22b": (ViT22B, ["pixels"], {"pixels": ["batch"]}, lambda: [(torch.randn(2, 3, 32, 32),), (torch.randn(1, 3, 32, 32),)], False),
    "vit-22b-dynamo": (ViT22B, ["pixels"], {"pixels": ["batch"]}, lambda: [(torch.randn(2, 3, 32, 32),), (torch.randn(1, 3, 32, 32),)], True),
    "videobert": (VideoBERT, ["word_ids", "clip_ids", "mask"], {"word_ids": ["batch", "words"], "clip_ids": ["batch", "clips"], "mask": ["batch", "all"]},
                  lambda: [(ids(70, 2, 9), ids(50, 2, 6), mask(2, 15, 2)), (ids(70, 1, 4), ids(50, 1, 8), mask(1, 12, 0))], False),
    "all-in-one": (AllInOne, ["ids", "video"], {"ids": ["batch", "words"], "video": ["batch"]},
                   lambda: [(ids(70, 2, 5), torch.randn(2, 3, 3, 16, 16)), (ids(70, 1, 9), torch.randn(1, 3, 3, 16, 16))], False),
}


def main():
    for name, (module, inputs, axes, data, dynamo) in STANDINS.items():
        torch.manual_seed(7)
        net = module().eval()
        sets = data()
        out = pathlib.Path(sys.argv[1]) / name
        out.mkdir(parents=True, exist_ok=True)
        if dynamo:
            shapes = [{i: torch.export.Dim(a) for i, a in enumerate(axes[x])} for x in inputs]
            program = torch.onnx.export(net, sets[0], dynamo=True, dynamic_shapes=shapes, input_names=inputs, opset_version=18)
            model = program.model_proto
            for node in model.graph.node:
                del node.metadata_props[:]
                node.doc_string = ""
            onnx.save(model, out / "model.onnx")
        else:
            dynamic = {x: dict(enumerate(a)) for x, a in axes.items()}
            torch.onnx.export(net, sets[0], out / "model.onnx", dynamo=False, input_names=inputs, dynamic_axes=dynamic, opset_version=17)
        graph = onnx.load(out / "model.onnx").graph
        for n, args in enumerate(sets):
            folder = out / f"test_data_set_{n}"
            folder.mkdir(exist_ok=True)
            with torch.no_grad():
                results = net(*args)
            if isinstance(results, torch.Tensor):
                results = (results,)
            for kind, ports, tensors in (("input", graph.input, args), ("output", graph.output, results)):
                for i, (port, t) in enumerate(zip(ports, tensors, strict=True)):
                    array = numpy.ascontiguousarray(t.numpy())
                    (folder / f"{kind}_{i}.pb").write_bytes(numpy_helper.from_array(array, port.name).SerializeToString())


main()
