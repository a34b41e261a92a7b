//! A token or a few at once, of any number of sequences: weights are read once for all of them, each matrix
//! shared out by rows.

use std::cell::RefCell;
use std::sync::{Arc, Mutex};

use crate::kernel::{Look, Query};

use super::crew::Crew;
use super::kv::{Halves, Kv};
use super::numbers::{Shrink, Small};
use super::packed::{Finish, Packed};
use super::product::Product;
use super::{Part, Quick};

thread_local! {
    /// Queries and results, filled up to whole vectors, and scores.
    static ROOM: RefCell<(Vec<f32>, Vec<f32>)> = const { RefCell::new((Vec::new(), Vec::new())) };
}

/// A token on its way: its part and its position.
#[derive(Clone, Copy)]
struct Place {
    part: usize,
    position: usize,
}

/// A token that asks one head of a cache.
pub(super) struct Asks<'a> {
    pub kv: &'a Kv,
    /// What it asks for, `(size of a head)`.
    pub q: &'a [f32],
    /// It sees the first so many positions.
    pub seen: usize,
    /// What it gets.
    pub out: &'a mut [f32],
}

impl Quick {
    /// The states after the last token of each part.
    pub(super) fn decode(&self, crew: &Crew, parts: &mut [Part<'_>]) -> Vec<Vec<f32>> {
        let mut x = Vec::new(); // (tokens, width)
        let mut places = Vec::new();
        for (number, part) in parts.iter_mut().enumerate() {
            for &id in part.ids {
                self.embed(id, part.kv.len, &mut x);
                places.push(Place { part: number, position: part.kv.len });
                part.kv.len += 1;
            }
        }
        let families = families(parts, &places);
        for layer in 0..self.blocks.len() {
            self.layer(crew, layer, (parts, &places, &families), &mut x);
        }
        let last = |part: usize| places.iter().rposition(|place| place.part == part);
        let token = |at: usize| &x[at * self.width..(at + 1) * self.width];
        let state = |at: usize| self.norm.apply(self.kernel, token(at), self.epsilon);
        (0..parts.len()).map(|part| last(part).map(state).unwrap_or_default()).collect()
    }

    fn layer(
        &self,
        crew: &Crew,
        layer: usize,
        (parts, places, families): (&mut [Part<'_>], &[Place], &[Vec<usize>]),
        x: &mut [f32],
    ) {
        let block = &self.blocks[layer];
        let small = block.norm_1.small(self.kernel, x, self.epsilon);
        let product = self.whole_product(crew, &block.attend, small, Finish::Plain);
        let qkv = crew.result(&product);
        self.store(parts, layer, places, &qkv);
        let mixed = self.attention(crew, layer, (parts, places, families), &qkv);
        let small = self.small(&mixed, self.width, self.width);
        let product = self.whole_product(crew, &block.project, small, Finish::Plain);
        self.plus(&block.project, &crew.result(&product), x);
        let small = block.norm_2.small(self.kernel, x, self.epsilon);
        let product = self.whole_product(crew, &block.widen, small, Finish::Gelu);
        let small = self.small(&crew.result(&product), block.widen.full(), 4 * self.width);
        let product = self.whole_product(crew, &block.narrow, small, Finish::Plain);
        self.plus(&block.narrow, &crew.result(&product), x);
    }

    fn whole_product(&self, crew: &Crew, packed: &Arc<Packed>, x: Small, finish: Finish) -> Arc<Product> {
        self.multiply(crew, (packed, 0..packed.count()), x, finish)
    }

    /// Tokens of `columns`, `stride` apart, as small numbers.
    fn small(&self, x: &[f32], stride: usize, columns: usize) -> Small {
        let mut small = Small::default();
        self.shrink(x, stride, columns, &mut small);
        small
    }

    /// The same, instead of what is in `into`.
    pub(super) fn shrink(&self, x: &[f32], stride: usize, columns: usize, into: &mut Small) {
        into.clear(columns);
        self.kernel.wide(Shrink { x, stride, columns, into });
    }

    /// Adds what came out of a matrix.
    pub(super) fn plus(&self, packed: &Packed, y: &[f32], x: &mut [f32]) {
        let tokens = x.chunks_exact_mut(self.width).zip(y.chunks_exact(packed.full()));
        tokens.for_each(|(x, y)| x.iter_mut().zip(y).for_each(|(x, y)| *x += y));
    }

    /// Keys and values of each token into its cache.
    fn store(&self, parts: &mut [Part<'_>], layer: usize, places: &[Place], qkv: &[f32]) {
        let mut both = Vec::new();
        for (qkv, place) in qkv.chunks_exact(self.blocks[layer].attend.full()).zip(places) {
            both.clear();
            self.kernel.wide(Halves { numbers: &qkv[self.width..3 * self.width], into: &mut both });
            let (keys, values) = both.split_at(self.width);
            let both = keys.chunks_exact(self.heads.size).zip(values.chunks_exact(self.heads.size));
            for (mut head, (key, value)) in parts[place.part].kv.heads_mut(layer).zip(both) {
                head.store(place.position, self.heads.room, key, value);
            }
        }
    }

    /// Each head of each token, `(tokens, width)`.
    fn attention(
        &self,
        crew: &Crew,
        layer: usize,
        (parts, places, families): (&[Part<'_>], &[Place], &[Vec<usize>]),
        qkv: &[f32],
    ) -> Vec<f32> {
        let mut mixed = vec![0.0; places.len() * self.width];
        let (size, stride) = (self.heads.size, self.blocks[layer].attend.full());
        {
            // Of each head, the tokens of a family.
            let mut heads: Vec<Option<&mut [f32]>> = mixed.chunks_exact_mut(size).map(Some).collect();
            let mut shares = Vec::new();
            for family in families {
                for head in 0..self.heads.count {
                    let token = |&token: &usize| {
                        let Place { part, position } = places[token];
                        let q = &qkv[token * stride + head * size..][..size];
                        let out = heads[token * self.heads.count + head].take().unwrap_or_default();
                        Asks { kv: parts[part].kv, q, seen: position + 1, out }
                    };
                    shares.push(Mutex::new((head, family.iter().map(token).collect::<Vec<_>>())));
                }
            }
            crew.split(shares.len(), &|number| {
                if let Ok(mut share) = shares[number].try_lock() {
                    let (head, asks) = &mut *share;
                    self.head((layer, *head), 0, asks);
                }
            });
        }
        mixed
    }

    /// One head of tokens whose caches have in common what they share, or that lie in one cache from `base` on, a
    /// multiple of 16.
    pub(super) fn head(&self, (layer, head): (usize, usize), base: usize, asks: &mut [Asks<'_>]) {
        let Some(first) = asks.first() else { return };
        let (size, room) = (self.heads.size, self.heads.room);
        let common = first.kv.common(layer, head, base);
        ROOM.with_borrow_mut(|(padded, scores)| {
            padded.clear();
            padded.resize(2 * asks.len() * room, 0.0);
            let (asked, made) = padded.split_at_mut(asks.len() * room);
            asked.chunks_exact_mut(room).zip(&*asks).for_each(|(q, ask)| q[..size].copy_from_slice(ask.q));
            let both = asked.chunks_exact(room).zip(made.chunks_exact_mut(room));
            let mut queries = Vec::with_capacity(asks.len());
            for (ask, (q, out)) in asks.iter().zip(both) {
                queries.push(Query { q, own: ask.kv.own(layer, head, base, ask.seen), out });
            }
            let look = Look { common, queries: &mut queries, scale: self.scale(layer) };
            self.kernel.attend(look, scores);
            drop(queries);
            asks.iter_mut()
                .zip(made.chunks_exact(room))
                .for_each(|(ask, made)| ask.out.copy_from_slice(&made[..size]));
        });
    }
}

/// Tokens by what their caches have in common; those that share nothing stand alone.
fn families(parts: &[Part<'_>], places: &[Place]) -> Vec<Vec<usize>> {
    let mut families: Vec<((usize, usize), Vec<usize>)> = Vec::new();
    for (token, place) in places.iter().enumerate() {
        let family = parts[place.part].kv.family();
        match families.iter_mut().find(|(key, _)| Some(*key) == family) {
            Some((_, tokens)) => tokens.push(token),
            None => families.push((family.unwrap_or_default(), vec![token])),
        }
    }
    families.into_iter().map(|(_, tokens)| tokens).collect()
}
