"""GPT-2's forward pass over exported weights: what a reader of the file must compute."""

import torch
import torch.nn.functional as F

from . import export
from . import vocabulary as v
from .model import attention, before, falls


class Plain:
    """An exported model, f32."""

    def __init__(self, weights, config):
        self.weights = {name: torch.tensor(w) for name, w in weights.items()}
        self.layers, self.heads = config["n_layer"], config["n_head"]
        self.positions = config["n_positions"]

    @staticmethod
    def read(path):
        return Plain(*export.read_weights(path))

    def linear(self, x, name):
        return x @ self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]

    def norm(self, x, name):
        return F.layer_norm(
            x, x.shape[-1:], self.weights[f"{name}.weight"], self.weights[f"{name}.bias"], 1e-5
        )

    @torch.no_grad()
    def layers_of(self, tokens):
        """The hidden states (batch, length, width) that go into the first block, come out of each but the last, and the last normed."""
        x = F.embedding(tokens, self.weights["wte.weight"])
        x = x + self.weights["wpe.weight"][: tokens.shape[1]]
        states = [x]
        for n in range(self.layers):
            q, k, value = self.linear(self.norm(x, f"h.{n}.ln_1"), f"h.{n}.attn.c_attn").chunk(3, -1)
            q, k, value = (y.unflatten(-1, (self.heads, -1)).transpose(1, 2) for y in (q, k, value))
            y = attention(q, k, value)
            x = x + self.linear(y.transpose(1, 2).flatten(2), f"h.{n}.attn.c_proj")
            hidden = self.linear(self.norm(x, f"h.{n}.ln_2"), f"h.{n}.mlp.c_fc")
            x = x + self.linear(F.gelu(hidden, approximate="tanh"), f"h.{n}.mlp.c_proj")
            states.append(x)
        return [*states[:-1], self.norm(x, "ln_f")]

    @torch.no_grad()
    def nats(self, tokens, is_event):
        """Nats of each slot of each triplet (batch, triplets, 3), over the legal rows; zero where nothing is predicted."""
        hidden = self.layers_of(tokens[:, :-1])[-1].unflatten(1, (-1, 3))
        triplets = tokens[:, 1:].unflatten(1, (-1, 3))
        (now, last), table = before(triplets), self.weights["wte.weight"]
        notes = torch.arange(v.NOTES)
        out = torch.zeros(triplets.shape)
        for row in range(len(tokens)):
            chosen = is_event[row]
            for slot, (begin, count) in enumerate(BLOCKS):
                logits = hidden[row, chosen, slot] @ rows_of(table, begin, count).T
                if slot == 0:
                    early = torch.arange(count) < now[row, chosen][:, None]
                    logits[:, :count].masked_fill_(early, -torch.inf)
                target = triplets[row, chosen, slot]
                target = torch.where(target == v.REST, count, target - begin)
                if slot == 2:
                    place = (triplets[row, chosen, 0], now[row, chosen], last[row, chosen])
                    logits.masked_fill_(falls(notes, place, target), -torch.inf)
                out[row, chosen, slot] = F.cross_entropy(logits, target, reduction="none")
        return out


BLOCKS = ((0, v.TIMES), (v.DUR, v.DURS), (v.NOTE, v.NOTES))


def rows_of(table, begin, count):
    """A slot's rows, and REST behind them."""
    return torch.cat([table[begin : begin + count], table[v.REST : v.REST + 1]])
