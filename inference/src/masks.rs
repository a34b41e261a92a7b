//! Which tokens the reference admits in each place of a triplet. REST is admitted everywhere, also where it
//! makes no sense (onset, duration): that is how its generation ends, and a port that is to compare with it
//! must do the same. The product's own rules are in the session.

use crate::ops::{Token, get_instruments};
use crate::vocabulary::{DUR, MAX_DUR, MAX_TIME, NOTE, REST};
use std::ops::Range;

/// With this many instruments in use, RESTs counted as one, no other may enter: 16 less one kept for drums.
pub const MOST_INSTRUMENTS: usize = 15;

/// The legal rows, ascending, for `slot` 0 (onset), 1 (duration) or 2 (note). `since` is the time now, in
/// ticks from the start of the window: earlier onsets are closed. `tokens` is the whole sequence.
pub fn legal(slot: usize, since: Token, tokens: &[Token]) -> Vec<Range<usize>> {
    let rest = REST as usize..REST as usize + 1;
    match slot % 3 {
        0 => {
            let first = usize::try_from(since.max(0)).unwrap_or(usize::MAX).min(MAX_TIME as usize);
            join([first..MAX_TIME as usize, rest])
        }
        1 => join([DUR as usize..(DUR + MAX_DUR) as usize, rest]),
        _ => join(notes(tokens).into_iter().chain([rest])),
    }
}

fn notes(tokens: &[Token]) -> Vec<Range<usize>> {
    let used = get_instruments(tokens);
    if used.len() < MOST_INSTRUMENTS {
        return vec![NOTE as usize..REST as usize];
    }
    let inside = used.keys().filter_map(|instrument| usize::try_from(*instrument).ok());
    let first = |instrument: usize| NOTE as usize + 128 * instrument;
    inside.filter(|instrument| *instrument <= 128).map(|one| first(one)..first(one + 1)).collect()
}

fn join(ranges: impl IntoIterator<Item = Range<usize>>) -> Vec<Range<usize>> {
    let mut joined: Vec<Range<usize>> = Vec::new();
    for range in ranges.into_iter().filter(|range| !range.is_empty()) {
        match joined.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => joined.push(range),
        }
    }
    joined
}

/// Closes every row outside `ranges` with -inf.
pub fn apply(logits: &mut [f32], ranges: &[Range<usize>]) {
    let mut from = 0;
    for range in ranges {
        let end = range.start.min(logits.len());
        logits[from.min(end)..end].fill(f32::NEG_INFINITY);
        from = range.end;
    }
    let from = from.min(logits.len());
    logits[from..].fill(f32::NEG_INFINITY);
}

/// Softmax in f32, as the reference computes it. All -inf gives NaN.
#[allow(clippy::cast_possible_truncation)]
pub fn softmax(logits: &[f32]) -> Vec<f32> {
    let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut shares: Vec<f32> = logits.iter().map(|logit| (logit - highest).exp()).collect();
    // Summed wide: a plain f32 sum drifts by more than torch's, which adds in parallel.
    let total: f64 = shares.iter().copied().map(f64::from).sum();
    shares.iter_mut().for_each(|share| *share /= total as f32);
    shares
}

/// Closes the tail of the distribution: rows after the one whose cumulated share passes `top_p`. From 1 up
/// nothing is closed; at 0 only the likeliest row stays.
#[allow(clippy::cast_possible_truncation)] // shares and threshold are f32 in the reference
pub fn nucleus(logits: &mut [f32], top_p: f64) {
    if top_p >= 1.0 {
        return;
    }
    let shares = softmax(logits);
    let mut order: Vec<usize> = (0..logits.len()).filter(|row| logits[*row] > f32::NEG_INFINITY).collect();
    order.sort_by(|a, b| logits[*b].total_cmp(&logits[*a]));
    let mut sum = 0.0_f64;
    let mut closed = false;
    for row in order {
        if closed {
            logits[row] = f32::NEG_INFINITY;
        }
        sum += f64::from(shares[row]);
        closed |= sum as f32 > top_p as f32;
    }
}
