"""Judges an exported model on held-out pieces, and prints the figures.

    python -m training.gates --corpus CORPUS --model models/default.safetensors [--reference FOLDER] [--json OUT.json]

Nats per note event against an interpolated Markov model in the same time frame; fifty continuations beside the real ones,
untrained weights and shuffled notes; anticipation with and without controls; answers to made-up loops; the longest run copied
from the training part; the int8 file against the f32 folder.
"""

import argparse
import json

import numpy as np
import torch

from . import corpus as corpora
from . import export, loops, music, sample, windows
from . import vocabulary as v
from .markov import Markov
from .plain import Plain

EVENTS = 170
PROMPT = 64  # triplets of a prompt
ANSWER = 100  # triplets of an answer
SLOTS = ("onset", "duration", "note")


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


def model_nats(model, triplets, real, first=v.AUTOREGRESS, batch=16):
    """Nats by window and slot (windows, 3)."""
    out = []
    for at in range(0, len(triplets), batch):
        body = torch.as_tensor(triplets[at : at + batch]).long().flatten(1)
        tokens = torch.cat([torch.full((len(body), 1), first), body], dim=1)
        out.append(model.nats(tokens, torch.as_tensor(real[at : at + batch])).sum(1).numpy())
    return np.concatenate(out)


def likelihood(corpus, notes, model, reference, limit, markov_limit):
    """The first gate: nats of the model, of its f32 reference and of Markov, on the same held-out windows."""
    rng = np.random.default_rng(11)
    train = rng.permutation(corpus.select(False))[:markov_limit]
    triplets, real, _ = all_windows(corpus, notes, train)
    markov = Markov(triplets, real)
    result = {"markov trained on notes": int((real & (triplets[..., 2] < v.REST)).sum())}
    triplets, real, pieces = all_windows(corpus, notes, corpus.select(True))
    pick = np.sort(rng.permutation(len(triplets))[:limit])
    triplets, real, pieces = triplets[pick], real[pick], pieces[pick]
    count = (real & (triplets[..., 2] < v.REST)).sum(1)
    groups = corpus.group[pieces]
    result["held-out notes"] = int(count.sum())
    result["held-out groups"] = len(np.unique(groups))
    theirs = markov.nats(triplets, real).sum(1)
    ours = model_nats(model, triplets, real)
    result["markov"] = by_slot(theirs, count, groups)
    result["model"] = by_slot(ours, count, groups)
    result["model better by"] = by_slot(theirs - ours, count, groups)
    sets = np.array(corpus.set)[pieces]
    result["by set"] = {
        name: {
            "markov": float(theirs[sets == name].sum() / count[sets == name].sum()),
            "model": float(ours[sets == name].sum() / count[sets == name].sum()),
        }
        for name in np.unique(sets)
    }
    if reference is not None:
        part = slice(0, max(1, len(triplets) // 3))
        full = model_nats(reference, triplets[part], real[part]).sum()
        result["int8 over f32, %"] = float(100 * (ours[part].sum() / full - 1))
    return result


def ahead(corpus, notes, model, count=96):
    """Whether anticipation helps: nats of the uncontrolled events with the others as controls, and without them."""
    generator = torch.Generator().manual_seed(23)
    rows = np.isin(corpus.piece, corpus.select(True))
    pool = torch.as_tensor(np.flatnonzero(rows))
    result = {}
    for kind in ("one instrument given", "second half given"):
        first = pool[torch.randint(len(pool), (4 * count,), generator=generator)]
        window = windows.cut(notes, first, 120).sorted()
        if kind == "one instrument given":
            low = torch.where(window.valid, window.instrument, 999).amin(1, keepdim=True)
            controls = (window.instrument == low) & window.valid
        else:
            controls = (torch.arange(120) >= 60).expand_as(window.valid) & window.valid
        both = (controls.any(1) & (window.valid & ~controls).any(1)).nonzero()[:count, 0]
        window = window.reorder(torch.arange(120).expand(len(first), 120))
        window = windows.Window(*(getattr(window, f)[both] for f in ("time", "duration", "instrument", "pitch", "valid")))
        controls = controls[both]
        yes = torch.ones(len(both), dtype=torch.bool)
        tokens, predicted = windows.encode(window, controls, yes, EVENTS)
        given = model.nats(tokens, predicted).sum() / predicted.sum()
        window.valid = window.valid & ~controls
        bare = window.reorder((~window.valid).long().argsort(dim=1, stable=True))
        tokens, predicted = windows.encode(bare, torch.zeros_like(controls), ~yes, EVENTS)
        alone = model.nats(tokens, predicted).sum() / predicted.sum()
        result[kind] = {"nats with": float(given), "nats without": float(alone), "windows": len(both)}
    return result


def prompts_of(corpus, notes, count):
    """Held-out prompts and their real continuations, one a piece: tokens (count, 1 + 3 * (PROMPT + ANSWER))."""
    rng = np.random.default_rng(29)
    rows = corpus.select(True)
    rows = rows[(corpus.end - corpus.start)[rows] > PROMPT + ANSWER + 16]
    rows = rng.permutation(rows)[: 3 * count]
    firsts = corpus.start[rows]
    tokens, real = windows.plain_batch(notes, torch.as_tensor(firsts), PROMPT + ANSWER)
    rests = (tokens[:, 3::3] == v.REST).float().mean(1)
    return tokens[real.all(1) & (rests < 0.2)][:count]


def shuffled(answers, rng):
    """The answers' notes dealt out anew: pitches from all the answers, onsets anywhere in the span."""
    pool = np.concatenate(answers)
    pool = pool[pool[:, 2] != v.DRUMS]
    out = []
    for notes in answers:
        notes = notes.copy()
        pitched = notes[:, 2] != v.DRUMS
        notes[pitched, 3] = rng.choice(pool[:, 3], pitched.sum())
        notes[:, 0] = np.sort(rng.integers(notes[:, 0].min(), notes[:, 0].max() + 1, len(notes)))
        out.append(notes)
    return out


def continuations(corpus, notes, model, count, top_p):
    """The second gate: (figures of real, model, untrained and shuffled answers, the model's answers as notes)."""
    tokens = prompts_of(corpus, notes, count)
    body = tokens[:, 1:].unflatten(1, (-1, 3)).numpy()
    prompts = [music.notes_of(x[:PROMPT]) for x in body]
    asked = tokens[:, : 1 + 3 * PROMPT]
    config = {"n_layer": model.layers, "n_head": model.heads, "n_positions": model.positions}
    width = model.weights["wte.weight"].shape[1]
    blank = Plain(export.random_weights(model.layers, width, model.positions), config)

    def answered(by, strict=False):
        made = sample.continue_prompts(by, asked, ANSWER, top_p, 1, strict=strict)
        return [music.notes_of(x) for x in made.numpy()]

    answers = {
        "real": [music.notes_of(x[PROMPT:]) for x in body],
        "model": answered(model),
        "strict": answered(model, strict=True),
        "untrained": answered(blank),
    }
    answers["shuffled"] = shuffled(answers["real"], np.random.default_rng(31))
    figures = {}
    for who, them in answers.items():
        each = [music.measure(p, a) for p, a in zip(prompts, them, strict=True)]
        figures[who] = {
            name: [float(x) for x in spread(np.array([m[name] for m in each]))] for name in each[0]
        }
    return {"prompts": len(prompts), **figures}, answers["model"]


def made_loops(model, count, top_p, answer=60):
    """Four-bar loops of one role, from the generator with a seed of their own: do answers keep to grid, key and role?"""
    figures = []
    for seed in range(count):
        made = loops.Piece(np.random.default_rng([1000, seed]))
        role = ("drums", "bass", "comp", "lead")[seed % 4]
        made.bars = made.bars[:4]
        made.comp("comp") if role == "comp" else getattr(made, role)()
        if not made.notes:
            continue
        heard = np.array(sorted((t, p, q, d) for t, d, p, q in made.notes))
        triplets = np.stack([heard[:, 0], v.DUR + heard[:, 3], v.NOTE + 128 * heard[:, 1] + heard[:, 2]], axis=1)[:100]
        tokens = torch.as_tensor(np.concatenate([[v.AUTOREGRESS], triplets.ravel()]))[None]
        answers = sample.continue_prompts(model, tokens, answer, top_p, seed)[0].numpy()
        figures.append(music.measure(music.notes_of(triplets), music.notes_of(answers)))
    names = ("in the prompt's key", "onset-grid error, ticks", "instruments kept", "doubled notes")
    return {"loops": len(figures)} | {name: float(np.nanmean([f[name] for f in figures])) for name in names}


def spread(values):
    """Mean, and the quartiles, of the values that there are."""
    values = values[~np.isnan(values)]
    if not len(values):
        return (np.nan,) * 3
    return values.mean(), *np.quantile(values, (0.25, 0.75))


def copied(corpus, answers, longest=48):
    """The longest run of (step, instrument, pitch) that each answer shares with the training part, in any key: quantiles."""

    def steps(tick, instrument, pitch):
        pitched = instrument != v.DRUMS
        interval = np.where(pitched[1:] & pitched[:-1], np.diff(pitch) + 128, np.where(pitched[1:], 300, pitch[1:]))
        return (np.clip(np.diff(tick), 0, 200) * 129 + instrument[1:]) * 512 + interval

    rows = corpus.select(False)
    own = np.isin(corpus.piece, rows)
    tick, instrument, pitch = (x[own].astype(np.int64) for x in (corpus.tick, corpus.instrument, corpus.pitch))
    known = steps(tick, instrument, pitch)
    parts = [steps(a[:, 0], a[:, 2], a[:, 3]) for a in answers if len(a) > 1]
    best = np.zeros(len(parts), dtype=int)
    alive = [np.arange(len(p)) for p in parts]
    for length in range(1, longest + 1):
        # Runs grow one by one: a run of n is shared only where one of n - 1 is.
        mixed, hashes = rolling(known, length), [rolling(p, length) for p in parts]
        table = np.unique(mixed)
        for k, h in enumerate(hashes):
            alive[k] = alive[k][alive[k] < len(h)]
            at = np.minimum(np.searchsorted(table, h[alive[k]]), len(table) - 1)
            alive[k] = alive[k][table[at] == h[alive[k]]]
            if len(alive[k]):
                best[k] = length
        if not any(len(x) for x in alive):
            break
    best = best + 1  # n steps join n + 1 events
    return {"median": float(np.median(best)), "99 %": float(np.quantile(best, 0.99)), "longest": int(best.max())}


def rolling(codes, length):
    """A hash of every run of so many codes."""
    h = np.zeros(max(len(codes) - length + 1, 0), dtype=np.uint64)
    for k in range(length):
        h = (h ^ codes[k : k + len(h)].astype(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
        h ^= h >> np.uint64(31)
    return h


def table(result):
    """The figures, to read."""
    lines = ["nats per note event (95 % interval)", f"{'':18}" + "".join(f"{s:>26}" for s in (*SLOTS, "total"))]
    for who in ("markov", "model", "model better by"):
        cells = (result["likelihood"][who][s] for s in (*SLOTS, "total"))
        lines.append(f"{who:18}" + "".join(f"{m:10.3f} ({a:6.3f}..{b:6.3f})" for m, a, b in cells))
    people = ("real", "model", "strict", "untrained", "shuffled")
    lines += ["", f"{result['continuations']['prompts']} answers: mean (quartiles)"]
    lines += [f"{'':26}" + "".join(f"{p:>24}" for p in people)]
    for name in result["continuations"]["real"]:
        cells = (result["continuations"][p][name] for p in people)
        lines.append(f"{name:26}" + "".join(f"{m:8.3f} ({a:6.2f}..{b:6.2f})" for m, a, b in cells))
    rest = {k: x for k, x in result.items() if k not in ("continuations",)}
    shown = ("markov", "model", "model better by")
    rest["likelihood"] = {k: x for k, x in rest["likelihood"].items() if k not in shown}
    return "\n".join(lines) + "\n\n" + json.dumps(rest, indent=1)


def main(arguments=None):
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--corpus", required=True)
    p.add_argument("--model", required=True, help="compact file or Hugging Face folder")
    p.add_argument("--reference", help="the f32 folder of the same model, to compare with")
    p.add_argument("--json", help="write the figures here")
    p.add_argument("--windows", type=int, default=400, help="held-out windows for the nats")
    p.add_argument("--markov-pieces", type=int, default=None, help="pieces for the Markov model (all)")
    p.add_argument("--prompts", type=int, default=50)
    p.add_argument("--top-p", type=float, default=0.95)
    p.add_argument("--limit", type=int, default=None, help="pieces of each set, for a trial")
    p.add_argument("--no-copying", action="store_true", help="leave the copying check out")
    options = p.parse_args(arguments)
    corpus = corpora.read(options.corpus, limit=options.limit)
    notes = windows.Notes.of(corpus, "cpu")
    model = Plain.read(options.model)
    reference = Plain.read(options.reference) if options.reference else None
    answers, made = continuations(corpus, notes, model, options.prompts, options.top_p)
    result = {
        "likelihood": likelihood(corpus, notes, model, reference, options.windows, options.markov_pieces),
        "continuations": answers,
        "anticipation": ahead(corpus, notes, model),
        "made-up loops": made_loops(model, 20, options.top_p),
    }
    if not options.no_copying:
        result["copied run, events"] = copied(corpus, made)
    if options.json:
        with open(options.json, "w") as out:
            json.dump(result, out, indent=1)
    print(table(result))
    return result


if __name__ == "__main__":
    main()
