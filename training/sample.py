"""Continues prompts: nucleus sampling with the slot masks, many prompts at once."""

import torch

from . import vocabulary as v
from .plain import BLOCKS

INSTRUMENTS = 15  # no new instrument once so many have been heard


def nucleus(logits, top_p, generator):
    """Draws from the smallest set of rows whose probability exceeds top_p, (batch,)."""
    ordered, index = logits.sort(dim=1, descending=True)
    chance = ordered.softmax(1)
    keep = chance.cumsum(1) - chance <= top_p
    chance = torch.where(keep, chance, 0.0)
    draw = torch.multinomial(chance, 1, generator=generator)
    return index.gather(1, draw)[:, 0]


@torch.no_grad()
def continue_prompts(model, prompts, triplets, top_p=0.95, seed=0, only_heard=False):
    """Continues prompts (batch, 1 + 3 * n) by so many triplets: (batch, triplets, 3).

    An onset is never before the last; REST is drawn as a note only. `only_heard` keeps to the prompt's instruments.
    """
    generator = torch.Generator().manual_seed(seed)
    table, batch = model.weights["wte.weight"], len(prompts)
    body = prompts[:, 1:].unflatten(1, (-1, 3))
    events = body[..., 2] < v.EVENTS
    now = torch.where(events, body[..., 0], 0).amax(1)
    heard = instruments_of(body)
    model.clear()
    hidden = model.hear(prompts)[:, -1]
    made = []
    for _ in range(triplets):
        triplet = []
        for slot, (begin, count) in enumerate(BLOCKS):
            logits = hidden @ table[begin : begin + count].T
            if slot == 0:
                logits.masked_fill_(torch.arange(count) < now[:, None], -torch.inf)
            if slot == 2:
                full = heard.sum(1, keepdim=True) >= INSTRUMENTS
                closed = ~heard & (full | only_heard)
                logits.masked_fill_(closed.repeat_interleave(128, 1), -torch.inf)
                logits = torch.cat([logits, (hidden @ table[v.REST])[:, None]], 1)
            token = nucleus(logits, top_p, generator) + begin
            triplet.append(token)
            hidden = model.hear(token[:, None])[:, -1]
        onset, _, note = triplet
        now = onset
        sounding = note < v.REST
        instrument = torch.where(sounding, (note - v.NOTE) // 128, 0)
        rows = torch.arange(batch)
        heard[rows, instrument] |= sounding
        made.append(torch.stack(triplet, 1))
    model.clear()
    return torch.stack(made, 1)


def instruments_of(triplets):
    """Which instruments sound in each row (batch, 129)."""
    note = torch.where(triplets[..., 2] >= v.EVENTS, triplets[..., 2] - v.EVENTS, triplets[..., 2])
    heard = torch.zeros(len(note), 130, dtype=torch.bool)
    instrument = torch.where((note >= v.NOTE) & (note < v.REST), (note - v.NOTE) // 128, 129)
    heard.scatter_(1, instrument, True)
    return heard[:, :129]
