"""ONNX Runtime, int8: a graph of its own fused operators, its matrices quantised by its own tool (activations to int8 as
they come), keys and values in buffers that it writes in place."""

import time

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

from peers.checkpoint import Checkpoint

PLACES = 512


def load(_peer, folder, threads):
    checkpoint = Checkpoint(folder)
    path = checkpoint.beside("int8.onnx", lambda path: convert(checkpoint, path))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return f"ONNX Runtime {onnxruntime.__version__}, int8", lambda *asked: timed(session, checkpoint, *asked)


def timed(session, checkpoint, ids, batch, new):
    size = checkpoint.width // checkpoint.heads
    shape = (batch, checkpoint.heads, PLACES, size)
    caches = {
        f"{which}.{layer}": onnxruntime.OrtValue.ortvalue_from_numpy(np.zeros(shape, np.float32))
        for layer in range(checkpoint.layers)
        for which in ["key", "value"]
    }
    began = time.perf_counter()
    tokens = step(session, caches, np.array([ids] * batch, np.int64), 0)
    first = time.perf_counter()
    for place in range(len(ids), len(ids) + new):
        tokens = step(session, caches, tokens, place)
    return first - began, time.perf_counter() - first


def step(session, caches, ids, place):
    batch, count = ids.shape
    total = place + count
    binding = session.io_binding()
    binding.bind_cpu_input("ids", ids)
    binding.bind_cpu_input("places", np.arange(place, total, dtype=np.int64)[None].repeat(batch, 0))
    binding.bind_cpu_input("last", np.full(batch, total - 1, np.int32))
    binding.bind_cpu_input("total", np.array(total, np.int32))
    for name, cache in caches.items():
        binding.bind_ortvalue_input(name, cache)
        binding.bind_ortvalue_output(f"new.{name}", cache)
    binding.bind_output("token")
    session.run_with_iobinding(binding)
    return binding.get_outputs()[-1].numpy()


def convert(checkpoint, path):
    floats = path.with_suffix(".floats")
    onnx.save(graph(checkpoint), floats)
    quantize_dynamic(
        floats,
        path,
        weight_type=QuantType.QInt8,
        per_channel=True,
        op_types_to_quantize=["MatMul"],
        extra_options={"DefaultTensorType": TensorProto.FLOAT},
    )
    floats.unlink()


class Graph:
    def __init__(self):
        self.nodes, self.weights = [], []

    def put(self, kind, inputs, count=1, domain="", **more):
        outputs = [f"{kind}.{len(self.nodes)}.{number}" for number in range(count)]
        self.nodes.append(helper.make_node(kind, inputs, outputs, domain=domain, **more))
        return outputs[0] if count == 1 else outputs

    def weight(self, name, numbers):
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(numbers), name))
        return name

    def linear(self, checkpoint, name, x):
        product = self.put("MatMul", [x, self.weight(f"{name}.weight", checkpoint[f"{name}.weight"])])
        return self.put("Add", [product, self.weight(f"{name}.bias", checkpoint[f"{name}.bias"])])

    def norm(self, checkpoint, name, x):
        both = [self.weight(f"{name}.{part}", checkpoint[f"{name}.{part}"]) for part in ["weight", "bias"]]
        return self.put("LayerNormalization", [x, *both], axis=-1, epsilon=checkpoint.epsilon)


def graph(checkpoint):
    made, width, heads = Graph(), checkpoint.width, checkpoint.heads
    token = made.put("Gather", [made.weight("wte", checkpoint["wte.weight"]), "ids"])
    x = made.put("Add", [token, made.put("Gather", [made.weight("wpe", checkpoint["wpe.weight"]), "places"])])
    made.weight("thirds", np.array([width] * 3, np.int64))
    for layer in range(checkpoint.layers):
        qkv = made.linear(checkpoint, f"h.{layer}.attn.c_attn", made.norm(checkpoint, f"h.{layer}.ln_1", x))
        q, k, v = made.put("Split", [qkv, "thirds"], 3, axis=-1)
        scale = (width // heads) ** -0.5 / (layer + 1)
        mixed = helper.make_node(
            "GroupQueryAttention",
            [q, k, v, f"key.{layer}", f"value.{layer}", "last", "total"],
            [f"mixed.{layer}", f"new.key.{layer}", f"new.value.{layer}"],
            domain="com.microsoft", num_heads=heads, kv_num_heads=heads, scale=scale,
        )
        made.nodes.append(mixed)
        x = made.put("Add", [x, made.linear(checkpoint, f"h.{layer}.attn.c_proj", f"mixed.{layer}")])
        wide = made.linear(checkpoint, f"h.{layer}.mlp.c_fc", made.norm(checkpoint, f"h.{layer}.ln_2", x))
        wide = made.put("Gelu", [wide], approximate="tanh")
        x = made.put("Add", [x, made.linear(checkpoint, f"h.{layer}.mlp.c_proj", wide)])
    x = made.put("Gather", [x, made.weight("end", np.array([-1], np.int64))], axis=1)
    x = made.norm(checkpoint, "ln_f", x)
    logits = made.put("MatMul", [x, made.weight("head", checkpoint["wte.weight"].T)])
    made.nodes.append(helper.make_node("ArgMax", [logits], ["token"], axis=-1, keepdims=0))
    return whole(made, checkpoint)


def whole(made, checkpoint):
    def of(name, kind, shape):
        return helper.make_tensor_value_info(name, kind, shape)

    room = ["batch", checkpoint.heads, PLACES, checkpoint.width // checkpoint.heads]
    names = [f"{which}.{layer}" for layer in range(checkpoint.layers) for which in ["key", "value"]]
    inputs = [
        of("ids", TensorProto.INT64, ["batch", "count"]),
        of("places", TensorProto.INT64, ["batch", "count"]),
        of("last", TensorProto.INT32, ["batch"]),
        of("total", TensorProto.INT32, []),
        *[of(name, TensorProto.FLOAT, room) for name in names],
    ]
    outputs = [*[of(f"new.{name}", TensorProto.FLOAT, room) for name in names], of("token", TensorProto.INT64, ["batch", 1])]
    body = helper.make_graph(made.nodes, "gpt2", inputs, outputs, made.weights)
    versions = [helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(body, opset_imports=versions, ir_version=10)
