"""What the engine plays after held-out music and after loops, measured beside real continuations and shuffled ones."""

import itertools

import numpy as np

from . import handmade, music
from . import vocabulary as v

BARS = 4  # of an answer
DRAWS = 5  # answers to each hand-made loop
HEARD = (40, 110)  # notes of a prompt, fewest and most
TRIES = 3  # places in a piece that are tried
MOST_BAR = 300  # ticks; longer bars are cadenzas and unmeasured music
FIGURES = ("in the prompt's key", "pitch-class overlap", "onset-grid error, ticks", "notes a second at 120", "notes an onset",
           "repeated 3-grams", "instruments kept", "notes doubled", "climb, semitones")  # fmt: skip
CHOSEN = ("in the prompt's key", "pitch-class overlap", "onset-grid error, ticks", "repeated 3-grams")  # shuffling changes these


def rows_of(corpus, begin, end, origin):
    """Notes as (onset from the origin, duration, instrument, pitch)."""
    part = slice(begin, end)
    columns = (corpus.tick[part] - origin, corpus.duration[part], corpus.instrument[part], corpus.pitch[part])
    return np.stack([column.astype(np.int64) for column in columns], axis=1)


def prompts(corpus, count):
    """Passages of held-out pieces, at most one a piece: (what is heard, where the answer begins and ends, what really follows)."""
    rng = np.random.default_rng(29)
    pieces = rng.permutation([row for row in corpus.select(True) if corpus.set[row] != "loops"])
    tries = ([passage(corpus, row, rng) for _ in range(TRIES)] for row in pieces)
    firsts = (next((one for one in them if one), None) for them in tries)
    return list(itertools.islice((one for one in firsts if one), count))


def passage(corpus, row, rng):
    """A passage of a piece; nothing where the place drawn has too few notes or bars."""
    begin, end = int(corpus.start[row]), int(corpus.end[row])
    if end - begin < HEARD[1] + 60:
        return None
    cut = int(rng.integers(begin + HEARD[0], end - 40))
    bars = np.unique(corpus.bar[cut:end])
    if len(bars) < BARS + 2 or np.diff(bars[: BARS + 2]).max() > MOST_BAR:
        return None
    start, stop = int(bars[1]), int(bars[1 + BARS])
    first = begin + int(np.searchsorted(corpus.tick[begin:end], start))
    last = begin + int(np.searchsorted(corpus.tick[begin:end], stop))
    heard = max(begin, first - HEARD[1])
    origin = int(corpus.bar[heard])
    if first - heard < HEARD[0] or last - first < 8 or start - origin > 8000:
        return None
    return {
        "piece": corpus.group[row],
        "prompt": rows_of(corpus, heard, first, origin),
        "span": (start - origin, stop - origin),
        "bar": int(np.diff(bars[1 : BARS + 2]).min()),
        "real": rows_of(corpus, first, last, origin),
    }


def question(one, number):
    """A passage as the engine is asked."""
    start, end = one["span"]
    return {"history": one["prompt"].tolist(), "start": start, "end": end, "bar": one["bar"], "answer": number}


def notes_of(reply):
    return np.array(reply["answer"], dtype=np.int64).reshape(-1, 4)


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


def mean_interval(values, draws=2000):
    """Mean and 95 % bootstrap interval of the values that there are."""
    values = values[~np.isnan(values)]
    if not len(values):
        return [float("nan")] * 3
    pick = np.random.default_rng(5).integers(len(values), size=(draws, len(values)))
    return [float(x) for x in (values.mean(), *np.quantile(values[pick].mean(1), (0.025, 0.975)))]


def continuations(corpus, model, ask, count):
    """Figures of the engine's, the real and shuffled continuations of held-out passages; and the engine's notes."""
    passages = prompts(corpus, count)
    replies = ask(model, [question(one, k) for k, one in enumerate(passages)])
    answers = {"real": [one["real"] for one in passages], "model": [notes_of(reply) for reply in replies]}
    answers["shuffled"] = shuffled(answers["real"], np.random.default_rng(31))
    each = {
        who: [music.measure(one["prompt"], a) for one, a in zip(passages, them, strict=True)]
        for who, them in answers.items()
    }
    result = {"prompts": len(passages), "figures": {}}
    for name in FIGURES:
        values = {who: np.array([figures[name] for figures in them]) for who, them in each.items()}
        result["figures"][name] = compared(values, name in CHOSEN)
    return result, answers["model"]


def compared(values, shuffling_shows):
    """Means with intervals; whether the model's mean lies among the middle 80 % of real ones, and nearer to real than shuffled is."""
    real, model, chance = (values[who] for who in ("real", "model", "shuffled"))
    low, high = (float(x) for x in np.nanquantile(real, (0.1, 0.9)))
    row = {who: mean_interval(them) for who, them in values.items()}
    row["spread of the real ones"] = [low, high]
    row["within"] = bool(low <= np.nanmean(model) <= high)
    if shuffling_shows:
        nearer = np.abs(chance - real) - np.abs(model - real)
        row["nearer to the real one than shuffled by"] = mean_interval(nearer)
    return row


def loops(model, ask):
    """Answers of four bars to the hand-made loops, several each: grid, key and role, as the model has them and with the plugin's
    *Stay in key*, which is on at first."""
    made = handmade.read()
    result = {"loops": len(made), "answers each": DRAWS}
    for how, in_key in (("answers that keep", False), ("with Stay in key", True)):
        questions = [
            {"history": one["notes"].tolist(), "start": 768, "end": 1536, "answer": k + 100 * draw, "in_key": in_key,
             "instruments": one["instruments"],
             "beside": sorted(set(one["notes"][:, 2].tolist()) - set(one["instruments"]))}
            for draw in range(DRAWS) for k, one in enumerate(made)
        ]  # fmt: skip
        replies = ask(model, questions, weights="8")
        rows = [judged(one, notes_of(reply)) for one, reply in zip(made * DRAWS, replies, strict=True)]
        result[how] = {name: sum(row[name] for row in rows) / DRAWS for name in ("on the grid", "in the key", "in the role")}
        if not in_key:
            result["each"] = {one["name"]: each(rows[k :: len(made)]) for k, one in enumerate(made)}
    return result


def each(rows):
    """The answers to one loop together."""
    shares = [row["share in key"] for row in rows]
    counts = {name: sum(row[name] for row in rows) for name in ("on the grid", "in the key", "in the role")}
    return {"notes": round(np.mean([row["notes"] for row in rows])), "share in key": float(np.mean(shares))} | counts


def judged(one, notes):
    """One answer to a loop: at most a note in ten off the loop's own grid, nine in ten of the key, the role's shape kept."""
    own = np.isin(notes[:, 0] % v.TICKS_PER_BEAT, list(one["grid"])).mean() if len(notes) else 0.0
    # The loop's scale is written in the file; drums have none.
    pitched = notes[notes[:, 2] != v.DRUMS]
    inside = np.isin(pitched[:, 3] % 12, list(one["scale"])).mean() if len(pitched) else float("nan")
    drums = one["role"] == "drums"
    return {
        "notes": len(notes),
        "share on the loop's grid": float(own),
        "share in key": float(inside),
        "on the grid": bool(own >= 0.9),
        "in the key": bool(drums or inside >= 0.9),
        "in the role": handmade.keeps_role(one, notes),
    }


def copied(corpus, answers, longest=64):
    """The longest run of (step, instrument, interval) that each answer shares with the training part, in any key: quantiles."""
    own = ~corpus.held[corpus.piece]
    known = steps(*(x[own].astype(np.int64) for x in (corpus.tick, corpus.instrument, corpus.pitch)))
    parts = [steps(a[:, 0], a[:, 2], a[:, 3]) for a in answers if len(a) > 1]
    low, high = np.zeros(len(parts), dtype=int), np.array([min(len(p), longest) for p in parts])
    while (low < high).any():  # the longest run by halving: a run of n is shared only where one of n - 1 is
        middle = (low + high + 1) // 2
        for length in np.unique(middle[low < high]):
            asked = np.flatnonzero((middle == length) & (low < high))
            hashes = [rolling(parts[k], length) for k in asked]
            there = np.unique(np.concatenate(hashes))
            at = np.minimum(np.searchsorted(there, all_of := rolling(known, length)), len(there) - 1)
            there = there[np.unique(at[there[at] == all_of])]
            for k, mine in zip(asked, hashes, strict=True):
                shared = np.isin(mine, there).any()
                low[k], high[k] = (length, high[k]) if shared else (low[k], length - 1)
    best = low + 1  # n steps join n + 1 events
    return {"answers": len(best), "median": float(np.median(best)), "99 %": float(np.quantile(best, 0.99)), "longest": int(best.max()),
            "share of at most 20": float((best <= 20).mean())}  # fmt: skip


def steps(tick, instrument, pitch):
    """Each step between events as one number: time, instrument, interval (a drum's key)."""
    pitched = instrument != v.DRUMS
    interval = np.where(pitched[1:] & pitched[:-1], np.diff(pitch) + 128, np.where(pitched[1:], 300, pitch[1:]))
    return (np.clip(np.diff(tick), 0, 200) * 129 + instrument[1:]) * 512 + interval


def rolling(codes, length):
    """A hash of every run of so many codes."""
    h = np.zeros(max(len(codes) - length + 1, 0), dtype=np.uint64)
    for k in range(length):
        h = (h ^ codes[k : k + len(h)].astype(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
        h ^= h >> np.uint64(31)
    return h
