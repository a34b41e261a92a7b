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

    def events(self):
        """The event rows (27513, width)."""
        time = self.time_features @ self.time_map + self.time_free
        dur = self.dur_features @ self.dur_map + self.dur_free
        by_instrument = self.instrument + self.family[torch.arange(129) // 8]
        note = by_instrument[:, None] + self.pitch[:128] + self.pitch_class[torch.arange(128) % 12]
        drums = by_instrument[128] + self.pitch[128:] + self.pitch_class[12]
        note = torch.cat([note[:128].flatten(0, 1), drums]) + self.note_free
        return torch.cat([time, dur, note, self.rest])

    def controls(self, events):
        """The control rows (27512, width) that belong to the event rows."""
        time, dur, note = events[:-1].split([v.TIMES, v.DURS, v.NOTES])
        note = note.view(129, 128, -1) + self.control_instrument[:, None] + self.control[2]
        return torch.cat([time + self.control[0], dur + self.control[1], note.flatten(0, 1)])

    def table(self):
        """All 55,028 rows."""
        events = self.events()
        return torch.cat([events, self.controls(events), self.special])

    def rows(self, tokens, events):
        """The rows of a batch of tokens (batch, 1 + 3 * triplets), (…, width), without building the control half."""
        control = (tokens >= v.EVENTS) & (tokens < v.SEPARATOR)
        special = tokens >= v.SEPARATOR
        base = torch.where(control, tokens - v.EVENTS, torch.where(special, 0, tokens))
        rows = F.embedding(base, events)
        body = rows[:, 1:].unflatten(1, (-1, 3))
        flags = control[:, 1:].unflatten(1, (-1, 3))
        instrument = ((base[:, 3::3] - v.NOTE) // 128).clamp(0, 128)
        extra = F.embedding(instrument, self.control_instrument)
        offset = torch.stack(
            [
                self.control[0].expand_as(extra),
                self.control[1].expand_as(extra),
                extra + self.control[2],
            ],
            dim=2,
        )
        body = torch.where(flags[..., None], body + offset, body)
        rows = torch.cat([rows[:, :1], body.flatten(1, 2)], dim=1)
        which = (tokens - v.SEPARATOR).clamp(min=0)
        return torch.where(special[..., None], F.embedding(which, self.special), rows)


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

    def forward(self, x, past=None):
        batch, length, d = x.shape
        qkv = self.c_attn(self.ln_1(x)).view(batch, length, 3, self.heads, d // self.heads)
        q, k, value = qkv.permute(2, 0, 3, 1, 4)  # each (batch, heads, length, head)
        if past is not None:
            k, value = past.append(k, value)
        y = F.scaled_dot_product_attention(q, k, value, is_causal=length > 1)
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

    def hidden(self, tokens, events):
        """The last layer's normed output at all tokens but the last (batch, length - 1, width)."""
        x = self.embedding.rows(tokens, events)[:, :-1]
        x = x + self.positions()[: x.shape[1]]
        for block in self.blocks:
            x = block(x)
        return self.ln_f(x)

    def loss(self, tokens, is_event, generator=None):
        """Nats of each slot of each triplet (batch, triplets, 3); zero where nothing is predicted.

        With a generator, far times and the notes of instruments absent from the batch are stood for by a random sample.
        """
        events = self.embedding.events()
        hidden = self.hidden(tokens, events)
        hidden = hidden.unflatten(1, (-1, 3))[is_event]  # (predicted, 3, width)
        triplets = tokens[:, 1:].unflatten(1, (-1, 3))
        now = earliest(triplets, is_event)[is_event]
        target = triplets[is_event]
        nats = torch.stack(
            [
                self._time_nats(hidden[:, 0], target[:, 0], now, events, generator),
                nats_of(hidden[:, 1], target[:, 1] - v.DUR, rows_and_rest(events, v.DUR, v.DURS)),
                self._note_nats(hidden[:, 2], target[:, 2], events, generator),
            ],
            dim=1,
        )
        out = torch.zeros(triplets.shape, dtype=nats.dtype, device=nats.device)
        return out.masked_scatter(is_event[..., None].expand_as(out), nats)

    def _time_nats(self, hidden, target, now, events, generator):
        near, device, weight = v.TIMES, hidden.device, None
        chosen = torch.arange(v.TIMES, device=device)
        if generator is not None:
            near = min(3072, -(-(int(target.max()) + 1) // 128) * 128)
            far = torch.randint(near, v.TIMES, (256,), generator=generator, device=device)
            beyond = target[target >= near].unique()
            chosen = torch.cat([chosen[:near], far, beyond])
            weight = torch.zeros(len(chosen), device=device)
            weight[near : near + 256] = math.log((v.TIMES - near) / 256)
        place = torch.zeros(v.TIMES, dtype=torch.long, device=device)
        place[chosen] = torch.arange(len(chosen), device=device)
        illegal = chosen < now[:, None]
        rows = torch.cat([events[chosen], events[v.REST :]])
        weight = None if weight is None else F.pad(weight, (0, 1))
        return nats_of(hidden, place[target], rows, weight, F.pad(illegal, (0, 1)))

    def _note_nats(self, hidden, target, events, generator):
        note = target - v.NOTE  # REST is note number NOTES
        if generator is None:
            return nats_of(hidden, note, events[v.NOTE :])
        device = hidden.device
        present = torch.zeros(129, dtype=torch.bool, device=device)
        present[(note[note < v.NOTES] // 128)] = True
        self.seen += torch.bincount(note[note < v.NOTES] // 128, minlength=129)
        keys = torch.arange(v.NOTES, device=device).view(129, 128)
        inside, others = keys[present].flatten(), keys[~present].flatten()
        pick = torch.randint(0, len(others), (256,), generator=generator, device=device)
        rest = torch.tensor([v.NOTES], device=device)
        chosen = torch.cat([others[pick], inside, rest])
        weight = torch.zeros(len(chosen), device=device)
        weight[:256] = math.log(len(others) / 256)
        place = torch.zeros(v.NOTES + 1, dtype=torch.long, device=device)
        place[chosen] = torch.arange(len(chosen), device=device)
        return nats_of(hidden, place[note], events[v.NOTE :][chosen], weight)


def earliest(triplets, is_event):
    """The onset of the event before each triplet (batch, triplets); 0 at first."""
    time = torch.where(is_event, triplets[..., 0], 0).cummax(dim=1).values
    return F.pad(time[:, :-1], (1, 0))


def rows_and_rest(events, start, count):
    """Some rows, and REST behind them."""
    return torch.cat([events[start : start + count], events[v.REST :]])


def nats_of(hidden, target, rows, weight=None, illegal=None):
    """Nats of each target (an index into rows): hidden (n, width), rows (m, width)."""
    logits = (hidden @ rows.T).float()
    if weight is not None:
        logits = logits + weight
    if illegal is not None:
        logits = logits.masked_fill(illegal, -torch.inf)
    return F.cross_entropy(logits, target, reduction="none")
