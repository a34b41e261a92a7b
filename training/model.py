"""GPT-2 with factored embeddings, which expand to a plain table at export.

A time row is a linear map of Fourier features of the time plus a free residual; a note row is instrument + pitch (+ pitch class,
family) plus a residual; a control row is its event row plus an offset. The loss projects each slot onto its own rows only.
"""

import math
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import nn

from . import vocabulary as v

METRE = (2, 3, 4, 6, 8, 12, 16, 24, 32, 36, 48, 72, 96, 144, 192, 240, 288, 384, 576, 768, 1536)
SMOOTH = tuple(48 * 2 ** (k / 2) for k in range(4, 18))  # 4 beats .. 360 beats


@dataclass
class Shape:
    """The size of a model."""

    n_layer: int = 4
    n_head: int = 8
    n_embd: int = 256
    n_positions: int = 512

    def dictionary(self):
        return asdict(self)


def fourier(times, periods):
    """cos and sin of each time at each period: (times, 2 * periods)."""
    angle = 2 * math.pi * torch.arange(times)[:, None].double() / torch.tensor(periods).double()
    return torch.cat([angle.cos(), angle.sin()], dim=1).float()


class Embedding(nn.Module):
    """The vocabulary's rows, made from few parameters."""

    def __init__(self, width):
        super().__init__()
        self.register_buffer("time_features", fourier(v.TIMES, METRE + SMOOTH), persistent=False)
        lengths = torch.arange(v.DURS).float().add(1).log()[:, None]
        features = torch.cat([fourier(v.DURS, METRE), lengths / 7, (lengths / 7) ** 2], dim=1)
        self.register_buffer("dur_features", features, persistent=False)

        def table(*shape, std=0.03):
            return nn.Parameter(torch.randn(*shape) * std)

        count = self.time_features.shape[1]
        self.time_map = table(count, width, std=0.05 / math.sqrt(count / 2))
        self.time_free = table(v.TIMES, width, std=0.005)
        count = self.dur_features.shape[1]
        self.dur_map = table(count, width, std=0.05 / math.sqrt(count / 2))
        self.dur_free = table(v.DURS, width, std=0.005)
        self.instrument = table(129, width)
        self.family = table(17, width)
        self.pitch = table(256, width)
        self.pitch_class = table(13, width)
        self.note_free = table(v.NOTES, width, std=0.003)
        self.rest = table(1, width)
        self.control = table(3, width)  # offsets of control times, durations, notes
        self.control_instrument = table(129, width, std=0.003)
        self.special = table(3, width)

    def times(self, chosen):
        """The rows of some onsets."""
        features = self.time_features.index_select(0, chosen)
        return features @ self.time_map + self.time_free.index_select(0, chosen)

    def durations(self):
        """The rows of all durations."""
        return self.dur_features @ self.dur_map + self.dur_free

    def notes(self, chosen):
        """The rows of some notes (128 * instrument + pitch)."""
        instrument, pitch = chosen // 128, chosen % 128
        drums = instrument == v.DRUMS
        parts = (
            (self.instrument, instrument),
            (self.family, instrument // 8),
            (self.pitch, pitch + 128 * drums),
            (self.pitch_class, torch.where(drums, 12, pitch % 12)),
            (self.note_free, chosen),
        )
        return sum(table.index_select(0, index) for table, index in parts)

    def events(self):
        """The event rows (27513, width)."""
        device = self.rest.device
        time = self.times(torch.arange(v.TIMES, device=device))
        return torch.cat([time, self.durations(), self.notes(torch.arange(v.NOTES, device=device)), self.rest])

    def controls(self, events):
        """The control rows (27512, width) that belong to the event rows."""
        time, dur, note = events[:-1].split([v.TIMES, v.DURS, v.NOTES])
        note = note.view(129, 128, -1) + self.control_instrument[:, None] + self.control[2]
        return torch.cat([time + self.control[0], dur + self.control[1], note.flatten(0, 1)])

    def table(self):
        """All 55,028 rows."""
        events = self.events()
        return torch.cat([events, self.controls(events), self.special])

    def few(self, tokens, is_event, generator=None):
        """The part of the table that a batch needs (`Few`): all that is near, and with a generator a sample of the rest."""
        device = tokens.device
        triplets = tokens[:, 1:].unflatten(1, (-1, 3))
        control = (triplets >= v.EVENTS) & (triplets < v.SEPARATOR)
        base = torch.where(control, triplets - v.EVENTS, torch.where(triplets < v.EVENTS, triplets, 0))
        held = base[triplets[..., 2] < v.SEPARATOR]
        times, notes = torch.arange(v.TIMES, device=device), torch.arange(v.NOTES, device=device)
        time_weight = note_weight = None
        if generator is not None:
            near = min(3072, -(-(int(triplets[..., 0][is_event].max()) + 1) // 128) * 128)
            far = torch.randint(near, v.TIMES, (256,), generator=generator, device=device)
            onsets = held[:, 0]
            times = torch.cat([times[:near], far, onsets[onsets >= near].unique()])
            time_weight = torch.zeros(len(times) + 1, device=device)
            time_weight[near : near + 256] = math.log((v.TIMES - near) / 256)
            sounding = held[:, 2][held[:, 2] < v.REST] - v.NOTE
            present = torch.zeros(129, dtype=torch.bool, device=device)
            present[sounding // 128] = True
            inside, others = notes.view(129, 128)[present].flatten(), notes.view(129, 128)[~present].flatten()
            pick = torch.randint(0, len(others), (256,), generator=generator, device=device)
            notes = torch.cat([others[pick], inside])
            note_weight = torch.zeros(len(notes) + 1, device=device)
            note_weight[:256] = math.log(len(others) / 256)
        return Few(
            times=times,
            time_place=places(times, v.TIMES),
            time_rows=torch.cat([self.times(times), self.rest]),
            time_weight=time_weight,
            duration_rows=torch.cat([self.durations(), self.rest]),
            notes=notes,
            note_place=places(notes, v.NOTES),
            note_rows=torch.cat([self.notes(notes), self.rest]),
            note_weight=note_weight,
        )

    def rows(self, tokens, few):
        """The rows of a batch of tokens (batch, 1 + 3 * triplets), (…, width)."""
        control = (tokens >= v.EVENTS) & (tokens < v.SEPARATOR)
        special = tokens >= v.SEPARATOR
        base = torch.where(control, tokens - v.EVENTS, torch.where(special, 0, tokens))
        flags = control[:, 1:].unflatten(1, (-1, 3))
        none = special[:, 1::3]
        time, duration, note = base[:, 1:].unflatten(1, (-1, 3)).unbind(2)
        duration, note = torch.where(none, v.DUR, duration), torch.where(none, v.REST, note)
        instrument = ((note - v.NOTE) // 128).clamp(0, 128)
        extra = F.embedding(instrument, self.control_instrument)
        body = torch.stack(
            [
                F.embedding(few.time_at(torch.where(none, few.times[0], time)), few.time_rows),
                F.embedding(duration - v.DUR, few.duration_rows),
                F.embedding(few.note_at(note), few.note_rows),
            ],
            dim=2,
        )
        offset = torch.stack(
            [
                self.control[0].expand_as(extra),
                self.control[1].expand_as(extra),
                extra + self.control[2],
            ],
            dim=2,
        )
        body = torch.where(flags[..., None], body + offset, body)
        rows = F.pad(body.flatten(1, 2), (0, 0, 1, 0))
        which = (tokens - v.SEPARATOR).clamp(min=0)
        return torch.where(special[..., None], F.embedding(which, self.special), rows)


@dataclass
class Few:
    """The rows of the table that a batch needs, REST's the last of each; gradients of the whole table, and of slices of it,
    would be most of a step's memory traffic.
    """

    times: torch.Tensor  # the onsets that have rows
    time_place: torch.Tensor  # of each onset, its row in time_rows
    time_rows: torch.Tensor
    time_weight: torch.Tensor | None  # what a sampled row's logit is raised by, for those that it stands for
    duration_rows: torch.Tensor
    notes: torch.Tensor  # the notes that have rows
    note_place: torch.Tensor
    note_rows: torch.Tensor
    note_weight: torch.Tensor | None

    def time_at(self, onset):
        return self.time_place[onset]

    def note_at(self, token):
        """The rows of notes and RESTs."""
        rest = token == v.REST
        return torch.where(rest, len(self.note_rows) - 1, self.note_place[torch.where(rest, 0, token - v.NOTE)])


def places(chosen, count):
    """Of each of `count` numbers, where it stands among the chosen."""
    place = torch.zeros(count, dtype=torch.long, device=chosen.device)
    place[chosen] = torch.arange(len(chosen), device=chosen.device)
    return place


def attention(q, k, value):
    """Causal attention of (batch, heads, length, head); written out for PyTorch before 2.0, which Debian has."""
    if hasattr(F, "scaled_dot_product_attention"):
        return F.scaled_dot_product_attention(q, k, value, is_causal=True)
    ahead = torch.ones(q.shape[-2], q.shape[-2], dtype=torch.bool, device=q.device).triu(1)
    scores = (q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])).masked_fill(ahead, -torch.inf)
    return scores.softmax(-1) @ value


class Block(nn.Module):
    """One pre-norm transformer block."""

    def __init__(self, shape):
        super().__init__()
        d, self.heads = shape.n_embd, shape.n_head
        self.ln_1, self.ln_2 = nn.LayerNorm(d, 1e-5), nn.LayerNorm(d, 1e-5)
        self.c_attn, self.attn_proj = nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.c_fc, self.mlp_proj = nn.Linear(d, 4 * d), nn.Linear(4 * d, d)
        for layer in (self.c_attn, self.attn_proj, self.c_fc, self.mlp_proj):
            nn.init.zeros_(layer.bias)
            nn.init.normal_(layer.weight, std=0.4 / math.sqrt(d))
        for layer in (self.attn_proj, self.mlp_proj):
            layer.weight.data /= math.sqrt(2 * shape.n_layer)

    def forward(self, x):
        batch, length, d = x.shape
        qkv = self.c_attn(self.ln_1(x)).view(batch, length, 3, self.heads, d // self.heads)
        q, k, value = qkv.permute(2, 0, 3, 1, 4)  # each (batch, heads, length, head)
        y = attention(q, k, value)
        x = x + self.attn_proj(y.transpose(1, 2).reshape(batch, length, d))
        hidden = F.gelu(self.c_fc(self.ln_2(x)), approximate="tanh")
        return x + self.mlp_proj(hidden)


class Model(nn.Module):
    """The model in training."""

    def __init__(self, shape):
        super().__init__()
        self.shape = shape
        self.embedding = Embedding(shape.n_embd)
        self.slot = nn.Parameter(torch.randn(3, shape.n_embd) * 0.03)
        self.position = nn.Parameter(torch.randn(shape.n_positions, shape.n_embd) * 0.005)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.n_layer))
        self.ln_f = nn.LayerNorm(shape.n_embd, 1e-5)
        self.register_buffer("seen", torch.zeros(129, dtype=torch.long))  # notes trained on, by instrument

    def positions(self):
        """The position rows (n_positions, width); position p belongs to the token that predicts slot p mod 3."""
        slots = torch.arange(self.shape.n_positions, device=self.slot.device) % 3
        return self.position + self.slot[slots]

    def hidden(self, tokens, few):
        """The last layer's normed output at all tokens but the last (batch, length - 1, width)."""
        x = self.embedding.rows(tokens, few)[:, :-1]
        x = x + self.positions()[: x.shape[1]]
        for block in self.blocks:
            x = block(x)
        return self.ln_f(x)

    def loss(self, tokens, is_event, generator=None):
        """Nats of each slot of each triplet (batch, triplets, 3); zero where nothing is predicted.

        With a generator, far times and the notes of instruments absent from the batch are stood for by a random sample.
        """
        few = self.embedding.few(tokens, is_event, generator)
        hidden = self.hidden(tokens, few)
        hidden = hidden.unflatten(1, (-1, 3))[is_event]  # (predicted, 3, width)
        triplets = tokens[:, 1:].unflatten(1, (-1, 3))
        now, last = (x[is_event] for x in before(triplets))
        onset, duration, note = triplets[is_event].unbind(1)
        if generator is not None:
            self.seen += torch.bincount((note[note < v.REST] - v.NOTE) // 128, minlength=129)
        early = F.pad(few.times < now[:, None], (0, 1))
        fallen = falls(few.notes, (onset, now, last), few.note_at(note))
        nats = torch.stack(
            [
                nats_of(hidden[:, 0], few.time_at(onset), few.time_rows, few.time_weight, early),
                nats_of(hidden[:, 1], duration - v.DUR, few.duration_rows),
                nats_of(hidden[:, 2], few.note_at(note), few.note_rows, few.note_weight, fallen),
            ],
            dim=1,
        )
        out = torch.zeros(triplets.shape, dtype=nats.dtype, device=nats.device)
        return out.masked_scatter(is_event[..., None].expand_as(out), nats)


def before(triplets):
    """Onset and note token of the event before each triplet (batch, triplets); 0 and -1 at first."""
    place = torch.arange(triplets.shape[1], device=triplets.device)
    index = torch.where(triplets[..., 2] < v.EVENTS, place, -1).cummax(dim=1).values
    index = F.pad(index[:, :-1], (1, 0), value=-1)
    onset, note = (triplets[..., k].gather(1, index.clamp(min=0)) for k in (0, 2))
    return torch.where(index < 0, 0, onset), torch.where(index < 0, -1, note)


def falls(notes, place, target):
    """Which of some notes, and REST behind them, cannot stand (predicted, notes + 1): `place` is the onset, and onset and note
    of the event before. On one onset notes ascend by (instrument, pitch); a REST stands where time went on by a whole one.
    """
    onset, now, last = place
    fallen = (notes + v.NOTE <= last[:, None]) & (onset == now)[:, None]
    fallen = torch.cat([fallen, (onset != now + v.REST_EVERY)[:, None]], dim=1)
    return fallen.scatter(1, target[:, None], False)  # a note struck twice is what it is


def nats_of(hidden, target, rows, weight=None, illegal=None):
    """Nats of each target (an index into rows): hidden (n, width), rows (m, width)."""
    logits = (hidden @ rows.T).float()
    if weight is not None:
        logits = logits + weight
    if illegal is not None:
        logits = logits.masked_fill(illegal, -torch.inf)
    return F.cross_entropy(logits, target, reduction="none")
