"""Writes tests/golden/pickle/*.bin with PyTorch itself: what `pytorch_model.bin` really looks like, and what
somebody who means harm would send. Needs torch and safetensors; run once, the files are kept."""

import os
import pickle
import sys
from collections import OrderedDict
from pathlib import Path

import torch
from safetensors.torch import load_file

GOLDEN = Path(__file__).resolve().parent.parent / "golden"
OUT = GOLDEN / "pickle"


def blocks() -> OrderedDict:
    """The blocks of the golden model; its embeddings are added by the test, since they are megabytes."""
    weights = load_file(GOLDEN / "model" / "model_55030_prefixed.safetensors")
    keep = {name: tensor for name, tensor in weights.items() if ".h." in name or "ln_f" in name}
    return OrderedDict(sorted(keep.items()))


class Harm:
    def __reduce__(self):
        return os.system, ("touch harm-was-done",)


def main() -> None:
    OUT.mkdir(exist_ok=True)
    torch.save(blocks(), OUT / "blocks.bin")
    half = {"0": torch.float16, "1": torch.bfloat16}
    halves = {name: tensor.to(half.get(name.split(".h.")[-1][0], torch.float16)) for name, tensor in blocks().items()}
    # Parameters, as older exporters left them, and a view into a larger storage.
    name = "transformer.ln_f.weight"
    halves["transformer.ln_f.bias"] = torch.nn.Parameter(halves["transformer.ln_f.bias"])
    halves[name] = torch.cat([torch.zeros(3, dtype=torch.float16), halves[name]])[3:]
    torch.save(halves, OUT / "halves.bin")
    columns = OrderedDict(weight=torch.arange(6.0).reshape(2, 3).t())
    torch.save(columns, OUT / "columns.bin")
    torch.save(torch.nn.Linear(2, 2), OUT / "module.bin")
    torch.save({"transformer.wte.weight": Harm()}, OUT / "harm.bin")
    torch.save(columns, OUT / "old.bin", _use_new_zipfile_serialization=False)
    (OUT / "harm.pkl.bin").write_bytes(pickle.dumps({"a": Harm()}, 2))
    print({path.name: path.stat().st_size for path in sorted(OUT.iterdir())}, torch.__version__, file=sys.stderr)


main()
