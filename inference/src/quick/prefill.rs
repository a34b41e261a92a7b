//! A prompt: shared out by tokens, so that threads meet three times a layer.

use std::cell::RefCell;
use std::sync::Mutex;

use crate::kernel::TILE;

use super::crew::Crew;
use super::decode::Asks;
use super::kv::Halves;
use super::numbers::{LANES, Small};
use super::packed::{Finish, Packed};
use super::{Block, Part, Quick};

/// Tokens that a thread computes at a time: the more, the less often weights are read; the fewer, the more evenly threads
/// are busy. Kernels take eight at a time.
fn group(tokens: usize, threads: usize) -> usize {
    tokens.div_ceil(2 * threads).clamp(16, 64).next_multiple_of(8)
}

/// A few tokens on their way through the blocks.
struct Group {
    /// Position of the first.
    place: usize,
    x: Vec<f32>,      // (tokens, width)
    qkv: Vec<f32>,    // (tokens, 3 width, filled up)
    halves: Vec<u16>, // (tokens, keys and values)
}

/// What a thread works with.
#[derive(Default)]
struct Room {
    small: Small,
    sums: Vec<i32>,
    mixed: Vec<f32>,
    out: Vec<f32>,
}

thread_local! {
    static ROOM: RefCell<Room> = RefCell::default();
}

/// What sees the states between blocks.
type Seen<'a> = Option<&'a mut dyn FnMut(&[f32])>;

impl Quick {
    /// The state after the last token; `None`, and the cache as before, if `wanted` said no. `seen` gets the
    /// states of all tokens before each block, and after the final norm.
    pub(super) fn prefill(
        &self,
        crew: &Crew,
        part: &mut Part<'_>,
        wanted: &dyn Fn() -> bool,
        mut seen: Seen<'_>,
    ) -> Option<Vec<f32>> {
        let before = part.kv.len;
        let groups = self.groups(part, crew.threads());
        for layer in 0..self.blocks.len() {
            if !wanted() {
                return None;
            }
            tell(&groups, &mut seen);
            crew.split(groups.len(), &|number| {
                if let Ok(mut group) = groups[number].try_lock() {
                    self.ask(layer, &mut group);
                }
            });
            self.keep(crew, layer, part, &groups);
            // After the last block only the last token is asked for.
            let rest = if layer + 1 == self.blocks.len() && seen.is_none() { groups.len() - 1 } else { 0 };
            crew.split(groups.len() - rest, &|number| {
                if let Ok(mut group) = groups[rest + number].try_lock() {
                    self.answer(layer, part, &mut group);
                }
            });
        }
        part.kv.len = before + part.ids.len();
        self.normed(groups, seen)
    }

    fn groups(&self, part: &Part<'_>, threads: usize) -> Vec<Mutex<Group>> {
        let size = group(part.ids.len(), threads);
        let starts = (part.kv.len..).step_by(size);
        let group = |(ids, place): (&[u32], usize)| {
            let mut x = Vec::with_capacity(ids.len() * self.width);
            ids.iter().zip(place..).for_each(|(id, place)| self.embed(*id, place, &mut x));
            Mutex::new(Group { place, x, qkv: Vec::new(), halves: Vec::new() })
        };
        part.ids.chunks(size).zip(starts).map(group).collect()
    }

    /// Norm, and queries, keys and values.
    fn ask(&self, layer: usize, group: &mut Group) {
        let block = &self.blocks[layer];
        ROOM.with_borrow_mut(|Room { small, sums, .. }| {
            block.norm_1.small_into(self.kernel, &group.x, self.epsilon, small);
            self.whole(&block.attend, small, Finish::Plain, (sums, &mut group.qkv));
        });
        group.halves.clear();
        for qkv in group.qkv.chunks_exact(block.attend.full()) {
            let numbers = &qkv[self.width..3 * self.width];
            self.kernel.wide(Halves { numbers, into: &mut group.halves });
        }
    }

    /// Keys and values into the cache, head by head.
    fn keep(&self, crew: &Crew, layer: usize, part: &mut Part<'_>, groups: &[Mutex<Group>]) {
        let (width, size) = (self.width, self.heads.size);
        let groups: Vec<_> = groups.iter().filter_map(|group| group.try_lock().ok()).collect();
        let heads: Vec<_> = part.kv.heads_mut(layer).map(Mutex::new).collect();
        crew.split(heads.len(), &|number| {
            let Ok(mut head) = heads[number].try_lock() else { return };
            let here = number * size..(number + 1) * size;
            for group in &groups {
                for (both, place) in group.halves.chunks_exact(2 * width).zip(group.place..) {
                    let (keys, values) = both.split_at(width);
                    head.store(place, self.heads.room, &keys[here.clone()], &values[here.clone()]);
                }
            }
        });
    }

    /// Attention and what comes after it.
    fn answer(&self, layer: usize, part: &Part<'_>, group: &mut Group) {
        let block = &self.blocks[layer];
        let Block { project, widen, narrow, .. } = block;
        ROOM.with_borrow_mut(|Room { small, sums, mixed, out }| {
            self.mix(layer, part, group, mixed);
            self.shrink(mixed, self.width, self.width, small);
            self.whole(project, small, Finish::Plain, (sums, out));
            self.plus(project, out, &mut group.x);
            block.norm_2.small_into(self.kernel, &group.x, self.epsilon, small);
            self.whole(widen, small, Finish::Gelu, (sums, out));
            self.shrink(out, widen.full(), 4 * self.width, small);
            self.whole(narrow, small, Finish::Plain, (sums, out));
            self.plus(narrow, out, &mut group.x);
        });
    }

    /// Each head of each token of a group, `(tokens, width)`.
    fn mix(&self, layer: usize, part: &Part<'_>, group: &Group, mixed: &mut Vec<f32>) {
        mixed.resize(group.x.len(), 0.0);
        let (size, stride) = (self.heads.size, self.blocks[layer].attend.full());
        let kv = &*part.kv;
        // Head by head, so that its keys and values stay near; tokens of the same sixteen positions together.
        for head in 0..self.heads.count {
            let here = head * size..(head + 1) * size;
            let tokens = mixed.chunks_exact_mut(self.width).zip(group.qkv.chunks_exact(stride));
            let asks = tokens.zip(group.place..).map(|((mixed, qkv), place)| Asks {
                kv,
                q: &qkv[here.clone()],
                seen: place + 1,
                out: &mut mixed[here.clone()],
            });
            let mut asks: Vec<Asks<'_>> = asks.collect();
            for asks in asks.chunk_by_mut(|a, b| (a.seen - 1) / LANES == (b.seen - 1) / LANES) {
                self.head((layer, head), (asks[0].seen - 1) / LANES * LANES, asks);
            }
        }
    }

    /// All rows of a matrix, for the tokens of a group.
    fn whole(&self, packed: &Packed, x: &Small, finish: Finish, (sums, out): (&mut Vec<i32>, &mut Vec<f32>)) {
        let stride = packed.full();
        out.resize(x.tokens() * stride, 0.0);
        // Two tiles at a time, as kernels read two: their sums are finished while they are near.
        for first in (0..packed.count()).step_by(2) {
            let tiles = first..(first + 2).min(packed.count());
            let out = (&mut out[first * TILE..], stride);
            packed.apply(self.kernel, (x, tiles), finish, sums, out);
        }
    }

    /// The final norm, of the last token or, if somebody looks, of all.
    fn normed(&self, groups: Vec<Mutex<Group>>, mut seen: Seen<'_>) -> Option<Vec<f32>> {
        let norm = |x: &[f32]| self.norm.apply(self.kernel, x, self.epsilon);
        let groups: Vec<Group> = groups.into_iter().filter_map(|group| group.into_inner().ok()).collect();
        if let Some(seen) = &mut seen {
            let tokens = groups.iter().flat_map(|group| group.x.chunks_exact(self.width));
            seen(&tokens.flat_map(norm).collect::<Vec<f32>>());
        }
        let last = &groups.last()?.x;
        Some(norm(&last[last.len() - self.width..]))
    }
}

fn tell(groups: &[Mutex<Group>], seen: &mut Seen<'_>) {
    if let Some(seen) = seen {
        let all: Vec<f32> = groups
            .iter()
            .filter_map(|group| group.try_lock().ok())
            .flat_map(|group| group.x.clone())
            .collect();
        seen(&all);
    }
}
