"""The made-up checkpoint: a GPT-2 in safetensors, read without any library but numpy."""

import json
import pathlib

import numpy as np


class Checkpoint:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.config = json.loads((self.folder / "config.json").read_text())
        path = self.folder / "model.safetensors"
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            self.header = json.loads(file.read(size))
        self.bytes = np.memmap(path, np.uint8, "r", offset=8 + size)
        self.layers, self.heads = self.config["n_layer"], self.config["n_head"]
        self.width, self.rows = self.config["n_embd"], self.config["vocab_size"]
        self.positions, self.epsilon = self.config["n_positions"], self.config["layer_norm_epsilon"]

    def __getitem__(self, name):
        tensor = self.header[name]
        start, end = tensor["data_offsets"]
        return np.array(self.bytes[start:end]).view(np.float32).reshape(tensor["shape"])

    def linear(self, name):
        """A weight by output row, and its bias; the file has it by input."""
        return np.ascontiguousarray(self[f"{name}.weight"].T), self[f"{name}.bias"]

    def beside(self, name, make):
        """A converted file or folder beside the checkpoint, made once: `make` gets a path that is not there."""
        path = self.folder / name
        if not path.exists():
            unfinished = path.with_name(f"{name}.unfinished")
            make(unfinished)
            unfinished.rename(path)
        return str(path)
