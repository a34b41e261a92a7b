"""Writes a trained model as a Hugging Face GPT-2 folder and as the compact int8 file (models/FORMAT.md)."""

import json
import struct
from pathlib import Path

import numpy as np

from . import vocabulary as v

CODES = {np.dtype("float32"): "F32", np.dtype("int8"): "I8", np.dtype("int32"): "I32"}
DTYPES = {code: dtype for dtype, code in CODES.items()}


def config_text(n_layer, n_head, n_embd, n_positions, name, version=2):
    """The text of config.json for a model of this shape."""
    return json.dumps(
        {
            "architectures": ["GPT2LMHeadModel"],
            "model_type": "gpt2",
            "n_layer": n_layer,
            "n_head": n_head,
            "n_embd": n_embd,
            "n_inner": None,
            "n_positions": n_positions,
            "n_ctx": n_positions,
            "vocab_size": v.ROWS,
            "activation_function": "gelu_new",
            "layer_norm_epsilon": 1e-5,
            "scale_attn_weights": True,
            "scale_attn_by_inverse_layer_idx": False,
            "reorder_and_upcast_attn": False,
            "tie_word_embeddings": True,
            "embd_pdrop": 0.0,
            "attn_pdrop": 0.0,
            "resid_pdrop": 0.0,
            "bos_token_id": v.AUTOREGRESS,
            "eos_token_id": v.SEPARATOR,
            "torch_dtype": "float32",
            "continuo": {
                "name": name,
                "frame": "beat",
                "ticks_per_beat": v.TICKS_PER_BEAT,
                "version": version,
            },
        },
        indent=2,
    )


def write_container(path, tensors, metadata):
    """Writes a safetensors file: aligned tensors first, the data section at a multiple of 64 bytes."""
    order = sorted(tensors, key=lambda name: (tensors[name].nbytes % 64 != 0, name))
    header, at = {"__metadata__": metadata}, 0
    for name in order:
        tensor = tensors[name]
        header[name] = {
            "dtype": CODES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [at, at + tensor.nbytes],
        }
        at += tensor.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-(len(text) + 8) % 64)
    partial = Path(f"{path}.partial")
    with open(partial, "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text)
        for name in order:
            out.write(np.ascontiguousarray(tensors[name]).tobytes())
    partial.rename(path)


def read_container(path):
    """Reads a safetensors file: (tensors by name, metadata)."""
    raw = Path(path).read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8 : 8 + length])
    metadata = header.pop("__metadata__", {})
    data = memoryview(raw)[8 + length :]
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        flat = np.frombuffer(data[begin:end], dtype=DTYPES[entry["dtype"]])
        tensors[name] = flat.reshape(entry["shape"])
    return tensors, metadata


def is_conv(name):
    """Whether a tensor is a Conv1D weight, [in, out] in the Hugging Face folder."""
    return name.endswith(".weight") and any(part in name for part in ("c_attn", "c_proj", "c_fc"))


def quantise(matrix):
    """(int8 rows, f32 scale of each row), symmetric, ties to even."""
    scale = np.abs(matrix).max(axis=1) / 127.0
    scale = np.where(scale > 0, scale, 1.0).astype(np.float32)
    rows = np.clip(np.rint(matrix / scale[:, None]), -127, 127).astype(np.int8)
    return rows, scale


def write_folder(folder, weights, config):
    """Writes config.json and model.safetensors (f32) as Hugging Face's GPT-2 has them."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(config + "\n")
    write_container(folder / "model.safetensors", weights, {"format": "pt"})


def write_compact(path, weights, config):
    """Writes the compact int8 file."""
    tensors = {}
    for name, weight in weights.items():
        if weight.ndim == 1:
            tensors[name] = weight.astype(np.float32)
            continue
        matrix = weight.T if is_conv(name) else weight
        tensors[name], tensors[f"{name}.scale"] = quantise(np.ascontiguousarray(matrix))
    write_container(path, tensors, {"format": "continuo-int8-1", "config": config})


def read_weights(path):
    """Reads either export back: (f32 weights in Hugging Face's layout, config as a dictionary)."""
    path = Path(path)
    if path.is_dir():
        tensors, _ = read_container(path / "model.safetensors")
        return dict(tensors), json.loads((path / "config.json").read_text())
    tensors, metadata = read_container(path)
    assert metadata["format"] == "continuo-int8-1", f"{path}: not a continuo-int8-1 file"
    weights = {}
    for name, tensor in tensors.items():
        if tensor.dtype != np.int8:
            if not name.endswith(".scale") and name != "wte.rows":
                weights[name] = tensor
            continue
        value = tensor.astype(np.float32) * tensors[f"{name}.scale"][:, None]
        weights[name] = np.ascontiguousarray(value.T) if is_conv(name) else value
    if "wte.rows" in tensors:
        weights["wte.weight"] = weights["wte.weight"][tensors["wte.rows"]]
    return weights, json.loads(metadata["config"])


def random_weights(n_layer, n_embd, n_positions, seed=0):
    """Untrained weights in the right shapes, for readers to be tested on."""
    rng = np.random.default_rng(seed)
    d = n_embd

    def normal(*shape):
        return (0.02 * rng.standard_normal(shape)).astype(np.float32)

    weights = {"wte.weight": normal(v.ROWS, d), "wpe.weight": normal(n_positions, d)}
    norms = ["ln_f"]
    for n in range(n_layer):
        for name, rows, columns in (
            ("attn.c_attn", d, 3 * d),
            ("attn.c_proj", d, d),
            ("mlp.c_fc", d, 4 * d),
            ("mlp.c_proj", 4 * d, d),
        ):
            weights[f"h.{n}.{name}.weight"] = normal(rows, columns)
            weights[f"h.{n}.{name}.bias"] = np.zeros(columns, np.float32)
        norms += [f"h.{n}.ln_1", f"h.{n}.ln_2"]
    for norm in norms:
        weights[f"{norm}.weight"] = np.ones(d, np.float32)
        weights[f"{norm}.bias"] = np.zeros(d, np.float32)
    return weights


def weights_of(model, enough=200):
    """A trained model's weights in Hugging Face's layout, the factored embeddings expanded to 55,028 rows."""
    table = model.embedding.table().detach().cpu().numpy().copy()
    alias_unseen(table, model.seen.cpu().numpy(), enough)
    weights = {"wte.weight": table, "wpe.weight": model.positions().detach().cpu().numpy()}
    for n, block in enumerate(model.blocks):
        for name, layer in (
            ("attn.c_attn", block.c_attn),
            ("attn.c_proj", block.attn_proj),
            ("mlp.c_fc", block.c_fc),
            ("mlp.c_proj", block.mlp_proj),
        ):
            weights[f"h.{n}.{name}.weight"] = layer.weight.detach().cpu().numpy().T
            weights[f"h.{n}.{name}.bias"] = layer.bias.detach().cpu().numpy()
        for name, norm in (("ln_1", block.ln_1), ("ln_2", block.ln_2)):
            weights[f"h.{n}.{name}.weight"] = norm.weight.detach().cpu().numpy()
            weights[f"h.{n}.{name}.bias"] = norm.bias.detach().cpu().numpy()
    weights["ln_f.weight"] = model.ln_f.weight.detach().cpu().numpy()
    weights["ln_f.bias"] = model.ln_f.bias.detach().cpu().numpy()
    return {name: np.ascontiguousarray(w, dtype=np.float32) for name, w in weights.items()}


def alias_unseen(table, seen, enough):
    """Gives the notes of programs hardly trained on the rows of the nearest well trained one of their family, else of any."""
    trained = np.flatnonzero(seen[:128] >= enough)
    if len(trained) == 0:
        return
    for program in np.flatnonzero(seen[:128] < enough):
        distance = np.abs(trained - program) + 1000 * (trained // 8 != program // 8)
        source = trained[distance.argmin()]
        for begin in (v.NOTE, v.NOTE + v.EVENTS):
            rows = slice(begin + 128 * source, begin + 128 * source + 128)
            table[begin + 128 * program : begin + 128 * program + 128] = table[rows]


def between(earlier, later, share):
    """Weights on the way from one checkpoint to another, which calms a run that was ended at a high learning rate; counts are the later's."""
    import torch

    return {name: torch.lerp(earlier[name], x, share) if x.is_floating_point() else x for name, x in later.items()}


def main(arguments=None):
    import argparse

    import torch

    from .model import Model, Shape

    p = argparse.ArgumentParser(description="Exports a run's last checkpoint.")
    p.add_argument("--run", required=True)
    p.add_argument("--folder", help="write a Hugging Face folder here")
    p.add_argument("--compact", help="write the compact file here")
    p.add_argument("--name", default="continuo-default")
    p.add_argument("--average", action="store_true", help="the moving average of the weights")
    p.add_argument("--between", nargs=2, metavar=("EARLIER", "SHARE"),
                   help="weights between those of an earlier checkpoint (0) and the run's last (1)")
    options = p.parse_args(arguments)
    state = torch.load(Path(options.run) / "last.pt", map_location="cpu", weights_only=True)
    shape = Shape(**state["shape"])
    model = Model(shape)
    model.load_state_dict(state["model"])
    if options.average:
        model.load_state_dict(state["average"], strict=False)
    if options.between:
        earlier = torch.load(options.between[0], map_location="cpu", weights_only=True)["model"]
        model.load_state_dict(between(earlier, model.state_dict(), float(options.between[1])))
    config = config_text(shape.n_layer, shape.n_head, shape.n_embd, shape.n_positions, options.name)
    weights = weights_of(model)
    if options.folder:
        write_folder(options.folder, weights, config)
    if options.compact:
        write_compact(options.compact, weights, config)
    unseen = int((model.seen[:128] < 200).sum())
    print(f"step {state['step']}, {state['events']} events; {unseen} programs aliased")


if __name__ == "__main__":
    main()
