"""Whether an embedding knows a piece: its own next bars among a thousand passages of other pieces.

The embedding is `continuo embed`'s: the mean hidden state of a layer over the passage's tokens. Variants are tried beside it.
"""

import numpy as np
import torch

from . import vocabulary as v
from . import windows

EVENTS = 60  # notes of a passage, and of what follows
OTHERS = 1000


def passages(corpus, notes, rows, rng):
    """A passage of each piece and the one after it: tokens (pieces, 3 * EVENTS) each, without a first token."""
    room = (corpus.end - corpus.start)[rows] - 2 * EVENTS
    rows = rows[room > 0]
    first = corpus.start[rows] + (rng.random(len(rows)) * room[room > 0]).astype(np.int64)
    pair = (windows.plain_batch(notes, torch.as_tensor(at), EVENTS)[0][:, 1:] for at in (first, first + EVENTS))
    return tuple(pair)


def embeddings(model, tokens, batch=32):
    """Pooled hidden states by layer (layers, passages, width), over all tokens and over note tokens alone."""
    everything, of_notes = [], []
    for at in range(0, len(tokens), batch):
        part = tokens[at : at + batch]
        states = torch.stack(model.layers_of(part))  # (layers, batch, tokens, width)
        known = (part < v.SEPARATOR).float()[None, :, :, None]
        everything.append((states * known).sum(2) / known.sum(2))
        known[:, :, torch.arange(part.shape[1]) % 3 != 2] = 0
        of_notes.append((states * known).sum(2) / known.sum(2))
    return {"all tokens": torch.cat(everything, 1).numpy(), "note tokens": torch.cat(of_notes, 1).numpy()}


def whitening(sample, shrink=0.1):
    """(mean, map) that makes a sample's covariance nearly the identity."""
    mean = sample.mean(0)
    values, vectors = np.linalg.eigh(np.cov((sample - mean).T))
    scale = 1 / np.sqrt(values + shrink * values.mean())
    return mean, vectors * scale


def share_found(query, right, others, top):
    """Share of the queries whose own next passage is among the `top` nearest by cosine."""

    def unit(x):
        return x / np.linalg.norm(x, axis=1, keepdims=True)

    query, right, others = unit(query), unit(right), unit(others)
    own = (query * right).sum(1, keepdims=True)
    return float(((query @ others.T > own).sum(1) < top).mean())


def retrieval(corpus, notes, model, queries, fitted=1500):
    """Shares found in the top 1 and top 5 by layer, pooling and linear map; maps are fitted on the training part."""
    rng = np.random.default_rng(37)
    held = passages(corpus, notes, rng.permutation(corpus.select(True))[: 2 * queries], rng)
    train = passages(corpus, notes, rng.permutation(corpus.select(False))[: OTHERS + fitted], rng)[0]
    query, right = (embeddings(model, part[:queries]) for part in held)
    rest = embeddings(model, train)
    table = {}
    for pooling in query:
        for layer in range(len(query[pooling])):
            q, r, t = (x[pooling][layer] for x in (query, right, rest))
            others, sample = t[:OTHERS], t[OTHERS:]
            mean, white = whitening(sample)
            maps = {"as it is": lambda x: x, "centred": lambda x, m=mean: x - m,
                    "whitened": lambda x, m=mean, w=white: (x - m) @ w}  # fmt: skip
            for name, fit in maps.items():
                found = [share_found(fit(q), fit(r), fit(others), top) for top in (1, 5)]
                table[f"layer {layer}, {pooling}, {name}"] = found
    best = max(table, key=lambda name: table[name][1])
    return {"queries": len(q), "others": len(others), "best": best, "top 1 and top 5": table[best], "all": table}
