"""How well a model foretells held-out music: nats a note event, against Markov, by slot and set; with and without controls."""

import numpy as np
import torch

from . import vocabulary as v
from . import windows
from .markov import Markov

EVENTS = 170
SLOTS = ("onset", "duration", "note")
SCORED = 24  # windows that the engine scores twice, from the file and from the f32 folder


def all_windows(corpus, notes, rows, batch=512):
    """The pieces cut into windows end to end: (triplets (windows, EVENTS, 3), real, piece of each window)."""
    firsts = np.concatenate([np.arange(corpus.start[r], corpus.end[r] - 8, EVENTS) for r in rows])
    out, real = [], []
    for at in range(0, len(firsts), batch):
        tokens, predicted = windows.plain_batch(notes, torch.as_tensor(firsts[at : at + batch]), EVENTS)
        out.append(tokens[:, 1:].unflatten(1, (-1, 3)).to(torch.int32).numpy())
        real.append(predicted.numpy())
    return np.concatenate(out), np.concatenate(real), corpus.piece[firsts]


def interval(nats, notes, groups, draws=1000):
    """Mean nats a note, and its 95 % bootstrap interval over groups: (mean, low, high)."""
    _, inverse = np.unique(groups, return_inverse=True)
    total = np.bincount(inverse, weights=nats)
    count = np.bincount(inverse, weights=notes)
    pick = np.random.default_rng(5).integers(len(total), size=(draws, len(total)))
    means = total[pick].sum(1) / count[pick].sum(1)
    return [float(x) for x in (nats.sum() / notes.sum(), *np.quantile(means, (0.025, 0.975)))]


def by_slot(nats, notes, groups):
    """Intervals of the three slots and of their sum, from nats by window (windows, 3)."""
    table = {slot: interval(nats[:, k], notes, groups) for k, slot in enumerate(SLOTS)}
    return table | {"total": interval(nats.sum(1), notes, groups)}


def model_nats(model, triplets, real, batch=8):
    """Nats by window and slot (windows, 3)."""
    out = []
    for at in range(0, len(triplets), batch):
        body = torch.as_tensor(triplets[at : at + batch]).long().flatten(1)
        tokens = torch.cat([torch.full((len(body), 1), v.AUTOREGRESS), body], dim=1)
        out.append(model.nats(tokens, torch.as_tensor(real[at : at + batch])).sum(1).numpy())
    return np.concatenate(out)


def against_markov(corpus, notes, model, limit, markov_limit):
    """Nats of the model and of Markov on the same held-out windows; Markov learns the whole training part."""
    rows = np.random.default_rng(11).permutation(corpus.select(False))[:markov_limit]
    triplets, real, _ = all_windows(corpus, notes, rows)
    markov = Markov(triplets, real)
    result = {"markov trained on notes": int((real & (triplets[..., 2] < v.REST)).sum())}
    triplets, real, pieces = held_out(corpus, notes, limit)
    count = (real & (triplets[..., 2] < v.REST)).sum(1)
    groups = corpus.group[pieces]
    theirs = markov.nats(triplets, real).sum(1)
    ours = model_nats(model, triplets, real)
    result |= {"held-out notes": int(count.sum()), "held-out groups": len(np.unique(groups))}
    result |= {"markov": by_slot(theirs, count, groups), "model": by_slot(ours, count, groups)}
    result["model better by"] = by_slot(theirs - ours, count, groups)
    sets = np.array(corpus.set)[pieces]
    result["by set"] = {
        name: {
            who: float(nats[sets == name].sum() / count[sets == name].sum())
            for who, nats in (("markov", theirs), ("model", ours))
        }
        for name in np.unique(sets)
    }
    return result


def held_out(corpus, notes, limit):
    """So many held-out windows, drawn once and for all."""
    triplets, real, pieces = all_windows(corpus, notes, corpus.select(True))
    pick = np.sort(np.random.default_rng(13).permutation(len(triplets))[:limit])
    return triplets[pick], real[pick], pieces[pick]


def int8_over_f32(corpus, notes, file, folder, ask):
    """How many per cent more nats the compact file needs than the f32 folder, all through the project's engine: its weights
    alone, and as it is played, with activations and caches in few bits too."""
    triplets, _, _ = held_out(corpus, notes, SCORED)
    questions = []
    for window in triplets:
        note = window[window[:, 2] < v.REST]
        key = note[:, 2] - v.NOTE
        rows = np.stack([note[:, 0], note[:, 1] - v.DUR, key // 128, key % 128], axis=1)
        questions.append({"score": rows.tolist()})
    def total(path, weights):
        return sum(sum(reply["nats"]) for reply in ask(path, questions, weights=weights))

    f32 = total(folder, "exact")
    kinds = {"int8 over f32, %": "exact", "int8 as played over f32, %": "8", "int4 as played over f32, %": "4"}
    more = {kind: 100 * (total(file, weights) / f32 - 1) for kind, weights in kinds.items()}
    return {"windows": len(questions)} | more


def ahead(corpus, notes, model, count=64, events=120):
    """Whether anticipation helps: nats of the uncontrolled events with the others as controls, and without them."""
    rows = np.isin(corpus.piece, corpus.select(True))
    pool = torch.as_tensor(np.flatnonzero(rows))
    first = pool[torch.randint(len(pool), (3 * count,), generator=torch.Generator().manual_seed(23))]
    window = windows.cut(notes, first, events).sorted()
    low = torch.where(window.valid, window.instrument, 999).amin(1, keepdim=True)
    kinds = {
        "one instrument given": (window.instrument == low) & window.valid,
        "second half given": (torch.arange(events) >= events // 2) & window.valid,
    }
    return {kind: with_and_without(model, window, given, count) for kind, given in kinds.items()}


def with_and_without(model, window, controls, count):
    """Nats a free event with the controls and without them, and the gain with its interval over windows."""
    both = (controls.any(1) & (window.valid & ~controls).any(1)).nonzero()[:count, 0]
    controls = controls[both]
    window = windows.Window(*(field[both] for field in window.fields()))
    yes = torch.ones(len(both), dtype=torch.bool)
    tokens, predicted = windows.encode(window, controls, yes, EVENTS)
    given = model.nats(tokens, predicted).sum((1, 2)).numpy()
    window.valid = window.valid & ~controls
    bare = window.reorder((~window.valid).long().argsort(dim=1, stable=True))
    tokens, predicted = windows.encode(bare, torch.zeros_like(controls), ~yes, EVENTS)
    alone = model.nats(tokens, predicted).sum((1, 2)).numpy()
    free = (bare.valid).sum(1).numpy()
    each = np.arange(len(both))
    return {
        "windows": len(both),
        "nats with": float(given.sum() / free.sum()),
        "nats without": float(alone.sum() / free.sum()),
        "gain": interval(alone - given, free, each),
    }
