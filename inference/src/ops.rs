//! The reference's operations on flat triplets (onset, duration, note). Tokens are signed here because onsets
//! may pass through values that no model accepts; [`crate::generate`] checks before it asks one.
//! Event or control is decided by the note token alone, as in the reference.

use crate::error::Error;
use crate::vocabulary::{CONTROL_OFFSET, DUR, NOTE, REST, SEPARATOR};
use std::collections::BTreeMap;

/// A token, or an onset that is not one yet.
pub type Token = i64;

/// First control token.
pub const CONTROL: Token = CONTROL_OFFSET as Token;
const SEPARATION: Token = SEPARATOR as Token;
const RESTING: Token = REST as Token;
const SILENT: Token = DUR as Token;
const FIRST_NOTE: Token = NOTE as Token;

/// The triplets of a flat sequence; an incomplete last one is left out.
pub fn triplets(tokens: &[Token]) -> impl Iterator<Item = [Token; 3]> + '_ {
    tokens.as_chunks::<3>().0.iter().copied()
}

fn onset_of([time, _, note]: [Token; 3]) -> Token {
    if note < CONTROL { time } else { time - CONTROL }
}

fn instrument_of(note: Token) -> Token {
    let note = if note < CONTROL { note } else { note - CONTROL };
    (note - FIRST_NOTE).div_euclid(128)
}

fn keep(tokens: &[Token], wanted: impl Fn([Token; 3]) -> bool) -> Vec<Token> {
    triplets(tokens).filter(|triplet| wanted(*triplet)).flatten().collect()
}

fn refuse<T>(what: &str) -> Result<T, Error> {
    Err(Error::Prompt(what.to_owned()))
}

/// Ticks of 10 ms in `seconds`: truncated towards zero, not rounded (0.29 s is 28).
#[allow(clippy::cast_possible_truncation)] // the truncation is what the reference does
pub fn ticks(seconds: f64) -> Token {
    (100.0 * seconds) as Token
}

/// What starts in `start..=end` ticks; notes that last beyond `end` are cut there if `cut`.
pub fn clip(tokens: &[Token], start: Token, end: Token, cut: bool) -> Vec<Token> {
    let mut kept = Vec::new();
    for [time, mut duration, note] in triplets(tokens) {
        let onset = onset_of([time, duration, note]);
        if onset < start || end < onset {
            continue;
        }
        let length = duration - SILENT - if note < CONTROL { 0 } else { CONTROL };
        if cut && end < onset + length {
            duration -= onset + length - end;
        }
        kept.extend([time, duration, note]);
    }
    kept
}

/// What does not start strictly between two times in seconds.
#[allow(clippy::cast_precision_loss)]
pub fn mask(tokens: &[Token], start: f64, end: f64) -> Vec<Token> {
    keep(tokens, |triplet| {
        let onset = onset_of(triplet) as f64 / 100.0;
        !(start < onset && onset < end)
    })
}

/// RESTs wherever more than `density` ticks pass without an onset, up to `end` (0: the last onset).
/// Events must be sorted. Fails on controls, which come after padding.
pub fn pad(tokens: &[Token], end: Token, density: Token) -> Result<Vec<Token>, Error> {
    let end = if end == 0 { max_time(tokens, None) } else { end };
    let mut padded = Vec::new();
    let mut previous = 0;
    let rest_until = |until: Token, previous: &mut Token, padded: &mut Vec<Token>| {
        while until > *previous + density {
            *previous += density;
            padded.extend([*previous, SILENT, RESTING]);
        }
    };
    for [time, duration, note] in triplets(tokens) {
        if note >= CONTROL {
            return refuse("a control or separator among the events to pad");
        }
        rest_until(time, &mut previous, &mut padded);
        padded.extend([time, duration, note]);
        previous = time;
    }
    rest_until(end, &mut previous, &mut padded);
    Ok(padded)
}

/// Everything but RESTs.
pub fn unpad(tokens: &[Token]) -> Vec<Token> {
    keep(tokens, |[.., note]| note != RESTING)
}

/// The first onset in ticks, of one instrument if given; 0 if there is none. Stops at a separator.
pub fn min_time(tokens: &[Token], instrument: Option<Token>) -> Token {
    triplets(tokens)
        .take_while(|[.., note]| *note != SEPARATION)
        .filter(|[.., note]| instrument.is_none_or(|wanted| wanted == instrument_of(*note)))
        .map(onset_of)
        .min()
        .unwrap_or(0)
}

/// The last onset in ticks, of one instrument if given; at least 0. Separators are passed over.
pub fn max_time(tokens: &[Token], instrument: Option<Token>) -> Token {
    triplets(tokens)
        .filter(|[.., note]| *note != SEPARATION)
        .filter(|[.., note]| instrument.is_none_or(|wanted| wanted == instrument_of(*note)))
        .map(onset_of)
        .fold(0, Token::max)
}

/// Stable sort by the onset token as it stands, so controls come after all events.
pub fn sort(tokens: &[Token]) -> Vec<Token> {
    let mut all: Vec<_> = triplets(tokens).collect();
    all.sort_by_key(|[time, ..]| *time);
    all.concat()
}

/// Events, and the rest (controls and separators).
pub fn split(tokens: &[Token]) -> (Vec<Token>, Vec<Token>) {
    (keep(tokens, |[.., note]| note < CONTROL), keep(tokens, |[.., note]| note >= CONTROL))
}

/// Events and controls as one sorted sequence of events.
pub fn combine(events: &[Token], controls: &[Token]) -> Vec<Token> {
    let folded = controls.iter().map(|token| token - CONTROL);
    sort(&events.iter().copied().chain(folded).collect::<Vec<_>>())
}

/// The same, `by` ticks later; what follows a separator stays. Fails where an onset would be negative.
pub fn translate(tokens: &[Token], by: Token) -> Result<Vec<Token>, Error> {
    let mut by = by;
    let mut moved = Vec::with_capacity(tokens.len());
    for [time, duration, note] in triplets(tokens) {
        if note == SEPARATION {
            by = 0;
        } else if onset_of([time, duration, note]) + by < 0 {
            return refuse("a note would start before time 0");
        }
        moved.extend([time + by, duration, note]);
    }
    Ok(moved)
}

/// The longest time between neighbouring onsets. Fails on controls.
pub fn sparsity(tokens: &[Token]) -> Result<Token, Error> {
    let (mut longest, mut previous) = (0, 0);
    for [time, _, note] in triplets(tokens).filter(|[.., note]| *note != SEPARATION) {
        if note >= CONTROL {
            return refuse("a control among the events");
        }
        longest = longest.max(time - previous);
        previous = time;
    }
    Ok(longest)
}

/// How many notes each instrument has; controls count, and RESTs count as instrument 129.
pub fn get_instruments(tokens: &[Token]) -> BTreeMap<Token, usize> {
    let mut counts = BTreeMap::new();
    for [.., note] in triplets(tokens).filter(|[.., note]| *note < SEPARATION) {
        *counts.entry(instrument_of(note)).or_insert(0) += 1;
    }
    counts
}

/// Events without `instruments`, and those of `instruments` as controls. Fails on anything but notes.
pub fn extract_instruments(
    tokens: &[Token],
    instruments: &[Token],
) -> Result<(Vec<Token>, Vec<Token>), Error> {
    let (mut events, mut controls) = (Vec::new(), Vec::new());
    for triplet in triplets(tokens) {
        if triplet[2] >= RESTING {
            return refuse("only notes can be told apart by instrument");
        }
        if instruments.contains(&instrument_of(triplet[2])) {
            controls.extend(triplet.map(|token| token + CONTROL));
        } else {
            events.extend(triplet);
        }
    }
    Ok((events, controls))
}

/// Controls set among events `delta` ticks ahead of time, and the controls that found no place: those more
/// than `delta` after the event before the last. Fails on controls among the events.
pub fn anticipate(
    events: &[Token],
    controls: &[Token],
    delta: Token,
) -> Result<(Vec<Token>, Vec<Token>), Error> {
    let mut waiting = triplets(controls).peekable();
    if waiting.peek().is_none() {
        return Ok((events.to_vec(), controls.to_vec()));
    }
    let mut tokens = Vec::new();
    let mut now = 0;
    for event in triplets(events) {
        while let Some(control) = waiting.next_if(|[time, ..]| now >= time - CONTROL - delta) {
            tokens.extend(control);
        }
        if event[2] >= CONTROL {
            return refuse("a control among the events");
        }
        now = event[0];
        tokens.extend(event);
    }
    Ok((tokens, waiting.flatten().collect()))
}
