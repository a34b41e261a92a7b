//! A token or a few at once, of any number of sequences: weights are read once for all of them, each matrix
//! shared out by rows.

use std::cell::RefCell;
use std::sync::Mutex;

use crate::kernel::Look;

use super::crew::Crew;
use super::kv::Kv;
use super::numbers::Small;
use super::packed::Finish;
use super::product::Product;
use super::{Part, Quick};

thread_local! {
    /// Query, scores and result of a head.
    static ROOM: RefCell<(Vec<f32>, Vec<f32>, Vec<f32>)> = const { RefCell::new((Vec::new(), Vec::new(), Vec::new())) };
}

impl Quick {
    /// The states after the last token of each part.
    pub(super) fn decode(&self, crew: &Crew, parts: &mut [Part<'_>]) -> Vec<Vec<f32>> {
        let mut x = Vec::new(); // (tokens, width)
        let mut places = Vec::new(); // a token: its part and its position
        for (number, part) in parts.iter_mut().enumerate() {
            for &id in part.ids {
                self.embed(id, part.kv.len, &mut x);
                places.push((number, part.kv.len));
                part.kv.len += 1;
            }
        }
        for layer in 0..self.blocks.len() {
            self.layer(crew, layer, parts, &places, &mut x);
        }
        let last = |part: usize| places.iter().rposition(|(number, _)| *number == part);
        let token = |at: usize| &x[at * self.width..(at + 1) * self.width];
        let state = |at: usize| self.norm.apply(self.kernel, token(at), self.epsilon);
        (0..parts.len()).map(|part| last(part).map(state).unwrap_or_default()).collect()
    }

    fn layer(
        &self,
        crew: &Crew,
        layer: usize,
        parts: &mut [Part<'_>],
        places: &[(usize, usize)],
        x: &mut [f32],
    ) {
        let block = &self.blocks[layer];
        let all = |packed: &super::Packed| 0..packed.count();
        let small = block.norm_1.small(self.kernel, x, self.epsilon);
        let product = self.multiply(crew, (&block.attend, all(&block.attend)), small, Finish::Plain);
        let qkv: Vec<Vec<f32>> =
            (0..places.len()).map(|token| product.token(token).take(3 * self.width).collect()).collect();
        for (qkv, (part, place)) in qkv.iter().zip(places) {
            self.store(parts[*part].kv, layer, *place, qkv);
        }
        let mixed = self.attention(crew, layer, parts, places, &qkv);
        let product = self.multiply(
            crew,
            (&block.project, all(&block.project)),
            self.small(&mixed, self.width, self.width),
            Finish::Plain,
        );
        self.add(&product, x);
        let small = block.norm_2.small(self.kernel, x, self.epsilon);
        let product = self.multiply(crew, (&block.widen, all(&block.widen)), small, Finish::Gelu);
        let wide: Vec<f32> =
            (0..places.len()).flat_map(|token| product.token(token).take(4 * self.width)).collect();
        let product = self.multiply(
            crew,
            (&block.narrow, all(&block.narrow)),
            self.small(&wide, 4 * self.width, 4 * self.width),
            Finish::Plain,
        );
        self.add(&product, x);
    }

    /// Tokens of `columns`, `stride` apart, as small numbers.
    pub(super) fn small(&self, x: &[f32], stride: usize, columns: usize) -> Small {
        let mut small = Small::default();
        small.clear(columns);
        self.kernel.wide(|| x.chunks_exact(stride).for_each(|x| small.push(&x[..columns])));
        small
    }

    fn add(&self, product: &Product, x: &mut [f32]) {
        for (token, x) in x.chunks_exact_mut(self.width).enumerate() {
            x.iter_mut().zip(product.token(token)).for_each(|(x, y)| *x += y);
        }
    }

    /// Key and value of a token into its cache.
    fn store(&self, kv: &mut Kv, layer: usize, place: usize, qkv: &[f32]) {
        let (width, size) = (self.width, self.heads.size);
        let keys = qkv[width..2 * width].chunks_exact(size);
        let both = keys.zip(qkv[2 * width..3 * width].chunks_exact(size));
        for (mut head, (key, value)) in kv.heads_mut(layer).zip(both) {
            head.store(place, self.heads.room, key, value);
        }
    }

    /// Each head of each token, `(tokens, width)`.
    fn attention(
        &self,
        crew: &Crew,
        layer: usize,
        parts: &[Part<'_>],
        places: &[(usize, usize)],
        qkv: &[Vec<f32>],
    ) -> Vec<f32> {
        let mut mixed = vec![0.0; places.len() * self.width];
        {
            let heads: Vec<Mutex<&mut [f32]>> =
                mixed.chunks_exact_mut(self.heads.size).map(Mutex::new).collect();
            crew.split(heads.len(), &|number| {
                let (token, head) = (number / self.heads.count, number % self.heads.count);
                let (part, place) = places[token];
                let q = &qkv[token][head * self.heads.size..(head + 1) * self.heads.size];
                if let Ok(mut out) = heads[number].try_lock() {
                    self.head(parts[part].kv, (layer, head), q, place + 1, &mut out);
                }
            });
        }
        mixed
    }

    /// One head of a token that sees the first `seen` positions.
    pub(super) fn head(
        &self,
        kv: &Kv,
        (layer, head): (usize, usize),
        q: &[f32],
        seen: usize,
        out: &mut [f32],
    ) {
        let from = kv.head(layer, head);
        let look = Look { keys: from.keys, values: from.values, seen, scale: self.scale(layer) };
        ROOM.with_borrow_mut(|(query, scores, made)| {
            query.clear();
            query.extend_from_slice(q);
            query.resize(self.heads.room, 0.0);
            made.resize(self.heads.room, 0.0);
            self.kernel.attend(look, query, scores, made);
            out.copy_from_slice(&made[..out.len()]);
        });
    }
}
