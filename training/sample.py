"""Continues prompts: nucleus sampling with the slot masks, many prompts at once."""

import torch

from . import vocabulary as v
from .plain import BLOCKS

INSTRUMENTS = 15  # no new instrument once so many have been heard
TRIES = 6  # how often a triplet out of order is drawn anew; the last time with a later onset


def nucleus(logits, top_p, generator):
    """Draws from the smallest set of rows whose probability exceeds top_p, (batch,)."""
    ordered, index = logits.sort(dim=1, descending=True)
    chance = ordered.softmax(1)
    keep = chance.cumsum(1) - chance <= top_p
    chance = torch.where(keep, chance, 0.0)
    draw = torch.multinomial(chance, 1, generator=generator)
    return index.gather(1, draw)[:, 0]


class Answer:
    """Answers to a batch of prompts (batch, 1 + 3 * n), being made triplet by triplet."""

    def __init__(self, model, prompts, top_p, seed, only_heard):
        self.model, self.top_p, self.only_heard = model, top_p, only_heard
        self.generator = torch.Generator().manual_seed(seed)
        body = prompts[:, 1:].unflatten(1, (-1, 3))
        events = body[..., 2] < v.EVENTS
        self.now = torch.where(events, body[..., 0], 0).amax(1)  # the last event's onset
        self.last = torch.where(events, body[..., 2], 0)[:, -1]  # its note, 0 after a control
        self.heard = instruments_of(body)
        model.clear()
        self.hidden = model.hear(prompts)[:, -1]

    def draw(self, kept, keep, later):
        """Draws a triplet (batch, 3); rows where `keep` take `kept` again, onsets where `later` are soon after the last."""
        table, hidden, triplet = self.model.weights["wte.weight"], self.hidden, []
        for slot, (begin, count) in enumerate(BLOCKS):
            logits = hidden @ table[begin : begin + count].T
            if slot == 0:
                ahead = torch.arange(count) - self.now[:, None]
                barred = (ahead < 0) | (later[:, None] & ((ahead == 0) | (ahead > v.REST_EVERY)))
                logits.masked_fill_(barred, -torch.inf)
            if slot == 2:
                full = self.heard.sum(1, keepdim=True) >= INSTRUMENTS
                closed = ~self.heard & (full | self.only_heard)
                logits.masked_fill_(closed.repeat_interleave(128, 1), -torch.inf)
                logits = torch.cat([logits, (hidden @ table[v.REST])[:, None]], 1)
            token = nucleus(logits, self.top_p, self.generator) + begin
            triplet.append(torch.where(keep, kept[:, slot], token))
            hidden = self.model.hear(triplet[-1][:, None])[:, -1]
        return torch.stack(triplet, 1), hidden

    def out_of_order(self, triplet):
        """Which triplets cannot stand there in the training data: (batch,) flags."""
        onset, _, note = triplet.T
        falls = (onset == self.now) & (note <= self.last)
        leaps = onset > self.now + v.REST_EVERY
        rests = (note == v.REST) & (onset != self.now + v.REST_EVERY)
        return falls | leaps | rests

    def step(self, strict):
        """Makes one triplet."""
        batch = len(self.now)
        no = torch.zeros(batch, dtype=torch.bool)
        triplet, wrong = torch.zeros(batch, 3, dtype=torch.long), ~no
        mark = self.model.length
        for attempt in range(TRIES if strict else 1):
            self.model.rewind(mark)
            later = wrong if attempt == TRIES - 1 else no
            triplet, hidden = self.draw(triplet, ~wrong, later)
            wrong = self.out_of_order(triplet) if strict else no
            if not wrong.any():
                break
        self.hidden = hidden
        self.now, _, self.last = triplet.T
        sounding = self.last < v.REST
        instrument = torch.where(sounding, (self.last - v.NOTE) // 128, 0)
        self.heard[torch.arange(batch), instrument] |= sounding
        return triplet


@torch.no_grad()
def continue_prompts(model, prompts, triplets, top_p=0.95, seed=0, only_heard=False, strict=False):
    """Continues prompts (batch, 1 + 3 * n) by so many triplets: (batch, triplets, 3).

    An onset is never before the last; REST is drawn as a note only. `only_heard` keeps to the prompt's instruments. `strict`
    draws a triplet anew that breaks the order of the training data: a note that does not rise within one onset, an onset more than
    REST_EVERY ahead, a REST anywhere but there.
    """
    answer = Answer(model, prompts, top_p, seed, only_heard)
    made = [answer.step(strict) for _ in range(triplets)]
    model.clear()
    return torch.stack(made, 1)


def instruments_of(triplets):
    """Which instruments sound in each row (batch, 129)."""
    note = torch.where(triplets[..., 2] >= v.EVENTS, triplets[..., 2] - v.EVENTS, triplets[..., 2])
    heard = torch.zeros(len(note), 130, dtype=torch.bool)
    instrument = torch.where((note >= v.NOTE) & (note < v.REST), (note - v.NOTE) // 128, 129)
    heard.scatter_(1, instrument, True)
    return heard[:, :129]
