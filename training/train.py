"""Trains the default model. Resumable: run the same command again and it goes on from its last checkpoint.

    python -m training.train --corpus CORPUS --run RUN --minutes 90        # learning rate follows the clock
    python -m training.train --corpus CORPUS --run RUN --steps 20000      # the same result every time, on one device
    python -m training.train --corpus CORPUS --run RUN --until 13:10      # a machine shared with others: done by then
"""

import argparse
import json
import math
import os
import signal
import time
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import torch

from . import corpus as corpora
from . import loops, windows
from .model import Model, Shape
from .muon import Muon

# Share of the windows that each set gives; loops are our own generator's.
SHARES = {
    "polish": 0.21,
    "lieder": 0.165,
    "chopin": 0.095,
    "quartets": 0.085,
    "hauptstimme": 0.075,
    "freedoom": 0.09,
    "groove": 0.07,
    "tanner": 0.04,
    "openhymnal": 0.02,
    "loops": 0.15,
}
AT_A_BAR = 0.6  # share of the windows that start with a bar's first note
AT_THE_END = 0.08  # share of the windows that a piece ends in
RECENT = int(torch.__version__.split(".")[0]) >= 2  # Debian's PyTorch may be older
FUSED = {"fused": True} if RECENT else {}
HOLD = 0.55  # share of the run at the full learning rate; then it falls to zero


class Data:
    """Where windows start: the notes of one part (trained on or held out), by set."""

    def __init__(self, corpus, held, device):
        self.notes = windows.Notes.of(corpus, device)
        bar = corpus.bar + 2**32 * corpus.piece.astype(np.int64)
        new = np.concatenate([[True], bar[1:] != bar[:-1]])
        first = np.maximum.accumulate(np.where(new, np.arange(len(bar)), 0))
        self.first_of_bar = torch.as_tensor(first, device=device)
        self.begin_of_piece = torch.as_tensor(corpus.start[corpus.piece], device=device)
        part = corpus.held == held
        sets = np.array(corpus.set)
        pools, shares = [], []
        for name in sorted(set(corpus.set)):
            pool = np.flatnonzero((part & (sets == name))[corpus.piece])
            if len(pool):
                pools.append(torch.as_tensor(pool, device=device))
                shares.append(SHARES[name])
        self.pool = torch.cat(pools)
        size = torch.tensor([len(pool) for pool in pools], device=device)
        self.size, self.begin = size, size.cumsum(0) - size
        self.shares = torch.tensor(shares, device=device)

    def starts(self, batch, generator):
        """First notes of a batch of windows."""
        device = self.pool.device
        which = torch.multinomial(self.shares, batch, replacement=True, generator=generator)
        draw = torch.rand(batch, 4, generator=generator, device=device, dtype=torch.float64)
        note = self.pool[self.begin[which] + (draw[:, 0] * self.size[which]).long()]
        last = self.notes.end[note] - 16 - (draw[:, 3] * 144).long()
        note = torch.where(draw[:, 2] < AT_THE_END, torch.maximum(last, self.begin_of_piece[note]), note)
        return torch.where(draw[:, 1] < AT_A_BAR, self.first_of_bar[note], note)


def optimizers(model, rate):
    """Muon for the matrices of the blocks, AdamW for the rest."""
    matrices = [p for p in model.blocks.parameters() if p.ndim == 2]
    chosen = {id(p) for p in matrices}
    rest = [p for p in model.parameters() if id(p) not in chosen]
    adam = torch.optim.AdamW(rest, lr=rate, betas=(0.9, 0.98), weight_decay=0.01, **FUSED)
    return [Muon(matrices, lr=rate * 8), adam]


def rate_at(progress, step, hold=HOLD, warmup=100):
    """The learning rate's factor at a point (0..1) of the run."""
    fall = 1.0 if progress < hold else max(0.0, (1 - progress) / (1 - hold))
    return min(1.0, (step + 1) / warmup) * fall


def next_time(clock):
    """The next moment at which the local clock shows HH:MM, in seconds since 1970."""
    hours, minutes = (int(part) for part in clock.split(":"))
    now = datetime.now()
    then = now.replace(hour=hours, minute=minutes, second=0, microsecond=0)
    return (then if then > now else then + timedelta(days=1)).timestamp()


def seeded(seed, step, device):
    """A generator that depends on the seed and the step alone."""
    return torch.Generator(device).manual_seed(seed * 1_000_003 + step)


@torch.no_grad()
def held_out_nats(model, data, events, windows_wanted=64, batch=16):
    """Nats per note event (onset, duration, note) on a fixed draw of held-out windows."""
    generator = seeded(17, 0, data.pool.device)
    total, notes = torch.zeros(3), 0
    for _ in range(windows_wanted // batch):
        first = data.starts(batch, generator)
        tokens, predicted = windows.plain_batch(data.notes, first, events)
        total += model.loss(tokens, predicted).sum((0, 1)).cpu()
        rests = (tokens[:, 3::3] == 27512).sum()
        notes += int(predicted.sum() - rests)
    return (total / notes).tolist()


class Average:
    """An exponential moving average of the weights, for evaluation before the rate has fallen."""

    def __init__(self, model):
        self.weights = {k: p.detach().clone() for k, p in model.named_parameters()}

    @torch.no_grad()
    def update(self, model, step):
        share = 1 - min(0.998, (step + 1) / (step + 10))
        for name, p in model.named_parameters():
            self.weights[name].lerp_(p, share)

    def swap(self, model):
        """Exchanges the model's weights and the average's."""
        for name, p in model.named_parameters():
            p.data, self.weights[name] = self.weights[name], p.data


class Run:
    """A training run in its folder."""

    def __init__(self, options):
        self.options = options
        self.folder = Path(options.run)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.end = next_time(options.until) if options.until else None
        torch.manual_seed(options.seed)
        self.model = Model(Shape(options.layers, options.heads, options.width)).to(options.device)
        self.optimizers = optimizers(self.model, options.rate)
        self.average = Average(self.model)
        self.step, self.seconds, self.events = 0, 0.0, 0
        self.leg = self.new_leg()
        if (self.folder / "last.pt").exists():
            self.load(self.folder / "last.pt")

    def new_leg(self):
        """A stretch of training with a schedule of its own: when and where it began, and what asked for it."""
        asked = f"{self.options.until} {self.options.rate} {self.options.hold}"
        return {"asked": asked, "began": time.time(), "step": self.step}

    def load(self, path):
        # A run's own file; older versions cannot read its numbers as weights alone.
        state = torch.load(path, map_location=self.options.device, weights_only=RECENT)
        self.model.load_state_dict(state["model"])
        self.average.weights = state["average"]
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.optimizers[1].param_groups[0].update({**FUSED, "foreach": False})
        self.step, self.seconds, self.events = state["step"], state["seconds"], state["events"]
        before, self.leg = state.get("leg"), self.new_leg()
        if before and before["asked"] == self.leg["asked"]:
            self.leg = before

    def save(self):
        state = {
            "shape": self.model.shape.dictionary(),
            "model": self.model.state_dict(),
            "average": self.average.weights,
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "step": self.step,
            "seconds": self.seconds,
            "events": self.events,
            "leg": self.leg,
        }
        torch.save(state, self.folder / "last.partial")
        os.replace(self.folder / "last.partial", self.folder / "last.pt")

    def progress(self):
        """How much of the run (of this leg of it, by the clock) is done, 0..1."""
        if self.options.until:
            began = self.leg["began"]
            return (time.time() - began) / (self.end - began)
        if self.options.steps:
            return self.step / self.options.steps
        return self.seconds / (60 * self.options.minutes)

    def train_step(self, data):
        """One step; the nats of its three slots, by triplet."""
        options = self.options
        progress = self.progress()
        since = self.step - self.leg["step"] if options.until else self.step
        factor = rate_at(progress, since, options.hold)
        for optimizer, base in zip(self.optimizers, (options.rate * 8, options.rate), strict=True):
            for group in optimizer.param_groups:
                group["lr"] = base * factor
        parts = 1 if progress < options.hold else 2
        generator = seeded(options.seed, self.step, options.device)
        self.model.zero_grad(set_to_none=True)
        sums = 0
        for _ in range(parts):
            first = data.starts(options.batch, generator)
            tokens, predicted = windows.training_batch(data.notes, first, options.events, generator)
            with torch.autocast(options.device, torch.bfloat16, enabled=options.device == "cuda"):
                nats = self.model.loss(tokens, predicted, generator)
            slots = nats.sum((0, 1)) / predicted.sum()
            (slots.sum() / parts).backward()
            sums = sums + slots.detach() / parts
            self.events += int(predicted.sum())
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 2.0)
        for optimizer in self.optimizers:
            optimizer.step()
        self.average.update(self.model, self.step)
        self.step += 1
        return sums

    def log(self, record):
        record = {"step": self.step, "seconds": round(self.seconds), "events": self.events, **record}
        with open(self.folder / "log.jsonl", "a") as out:
            out.write(json.dumps(record) + "\n")
        print(record, flush=True)

    def evaluate(self, held):
        self.average.swap(self.model)
        nats = held_out_nats(self.model, held, self.options.events)
        self.average.swap(self.model)
        self.log({"held": [round(x, 4) for x in nats], "total": round(sum(nats), 4)})

    def go(self, data, held):
        """Trains to the end."""
        options, recent, before = self.options, [], time.monotonic()
        marks = {"log": self.seconds, "save": self.seconds, "held": self.seconds}

        def due(what, every):
            if self.seconds - marks[what] < every:
                return False
            marks[what] = self.seconds
            return True

        stopped = []
        signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
        while self.progress() < 1:
            if stopped:
                self.save()
                raise SystemExit("stopped; run the same command to go on")
            recent.append(self.train_step(data))
            now = time.monotonic()
            self.seconds, before = self.seconds + now - before, now
            if due("log", options.log_every):
                nats = torch.stack(recent).mean(0).tolist()
                self.log({"train": [round(x, 4) for x in nats], "total": round(sum(nats), 4)})
                recent = []
                if not math.isfinite(sum(nats)):
                    raise SystemExit("training diverged")
            if due("save", options.save_every):
                self.save()
            if due("held", options.held_every):
                self.evaluate(held)
                before = time.monotonic()  # the schedule counts training alone
        self.evaluate(held)
        self.save()


def parser():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--corpus", required=True, help="folder of pieces.json and SET.npz")
    p.add_argument("--run", required=True, help="folder for checkpoints and the log")
    p.add_argument("--minutes", type=float, default=90)
    p.add_argument("--steps", type=int, default=0, help="a fixed number of steps instead of minutes")
    p.add_argument("--until", help="HH:MM by the local clock: the rate is zero then, however slow the machine was")
    p.add_argument("--hold", type=float, default=HOLD, help="share of the run at the full rate")
    p.add_argument("--batch", type=int, default=8, help="windows a step (twice as many as the rate falls)")
    p.add_argument("--events", type=int, default=170, help="triplets a window")
    p.add_argument("--layers", type=int, default=4)
    p.add_argument("--heads", type=int, default=8)
    p.add_argument("--width", type=int, default=256)
    p.add_argument("--rate", type=float, default=2.5e-3)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--loops", type=int, default=3000, help="pieces of the loop generator")
    p.add_argument("--limit", type=int, default=None, help="pieces of each set, for a trial")
    p.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    p.add_argument("--log-every", type=float, default=30)
    p.add_argument("--save-every", type=float, default=180)
    p.add_argument("--held-every", type=float, default=600)
    return p


def read(options):
    """The corpus and the loops: (trained on, held out)."""
    corpus = corpora.read(options.corpus, limit=options.limit)
    if options.loops:
        corpus = corpora.join(corpus, loops.make(options.loops, options.seed))
    return corpus


def main(arguments=None):
    options = parser().parse_args(arguments)
    corpus = read(options)
    run = Run(options)
    run.go(Data(corpus, False, options.device), Data(corpus, True, options.device))
    return run


if __name__ == "__main__":
    main()
