//! `bridge`: fills the gap between two sections, which stay note for note; what comes after is known beforehand.

use continuo_inference::{Model, TimeFrame, tasks};
use continuo_music::key;
use continuo_timeline::{Beats, Bpm, Meter, Note};

use super::continuing::instruments;
use super::page::{Page, open};
use super::{Plan, heard, wishes};
use crate::placing::Placing;
use crate::serve::ask::Ask;
use crate::serve::failure::Failure;
use crate::song::Song;

/// Bars of a bridge whose length is not said, and most bars.
const BARS: f64 = 4.0;
const MOST: f64 = 64.0;
/// Most steps from one tempo to the other.
const STEPS: f64 = 256.0;
/// Notes of the second section that the model is told.
const TOLD: usize = 200;

/// From the bar line after A to a bar line, where B begins.
pub fn plan(ask: &Ask, model: &Model) -> Result<Plan, Failure> {
    let a = open(model, "section_a", ask.sections.0.as_deref().unwrap_or_default())?;
    let b = ask.sections.1.as_deref().map(|bytes| open(model, "section_b", bytes)).transpose()?;
    let start = a.next_bar();
    let bar = a.meter(start).1.bar().0;
    let per_bar = 60.0 * bar / a.tempo(start).0;
    let bars = ask.seconds.map_or(BARS, |seconds| (seconds / per_bar).round().clamp(1.0, MOST));
    let end = Beats(start.0 + bars * bar);
    let (frame, before) = heard(model, &a, start);
    let placed = b.as_ref().map(|b| placed(&a, b, end)).unwrap_or_default();
    let told: Vec<Note> = placed.iter().take(TOLD).copied().collect();
    let span = (frame.tick_after(start), frame.tick(end));
    let mut prompt = tasks::bridge(frame.events(before), frame.events(&told), span, ask.sampling);
    prompt.instruments = Some(ask.instruments.clone().unwrap_or_else(|| instruments(&a)));
    let (notes, report) = (a.notes.clone(), b.as_ref().map(|b| differences(&a, b)).unwrap_or_default());
    let tempos = match (model.frame(), &b) {
        (TimeFrame::Beats { .. }, Some(b)) => tempos(&a, b, (start, end)),
        _ => Vec::new(),
    };
    let meters = b.as_ref().map(|b| meters(&a, b, end)).unwrap_or_default();
    let song = a.with_changes(&tempos, &meters);
    let seconds =
        song.seconds(placed.iter().map(|n| n.at + n.len).fold(end, |x, y| if y.0 > x.0 { y } else { x }));
    let mut page = Page::new(song, frame, (start, end));
    page.fixed = placed;
    let mut plan = wishes::grant(ask, Plan::new(prompt, page, seconds), &notes);
    plan.warnings.extend(report);
    hints(ask, &mut plan, &notes);
    Ok(plan)
}

/// B's notes with its first bar at `to`, on channels that are its instruments' own.
fn placed(a: &Song, b: &Song, to: Beats) -> Vec<Note> {
    let first = b.bar_before(b.notes.first().map_or(Beats(0.0), |note| note.at));
    let frame = continuo_music::frame::Frame::beats(48, Beats(0.0));
    let placing = Placing::new(a, frame, to, &instruments(b));
    let moved = |note: &Note| Note {
        at: note.at - first + to,
        channel: placing.channel(note.instrument).unwrap_or(note.channel),
        ..*note
    };
    b.notes.iter().map(moved).collect()
}

/// A step of tempo each beat of the bridge, or fewer in one of many beats; and B's own tempos after it.
fn tempos(a: &Song, b: &Song, (start, end): (Beats, Beats)) -> Vec<(Beats, Bpm)> {
    let first = b.bar_before(b.notes.first().map_or(Beats(0.0), |note| note.at));
    let (from, to) = (a.tempo(start).0, b.tempo(first).0);
    let mut all = Vec::new();
    if (from - to).abs() > 0.01 {
        let mut at = start.0;
        while at < end.0 - 1e-6 {
            let share = (at - start.0) / (end.0 - start.0);
            all.push((Beats(at), Bpm(from + (to - from) * share)));
            at += ((end.0 - start.0) / STEPS).max(1.0);
        }
    }
    all.push((end, Bpm(to)));
    let later = b.tempos.iter().filter(|(at, _)| at.0 > first.0 + 1e-9);
    all.extend(later.map(|(at, tempo)| (*at - first + end, *tempo)));
    all
}

/// B's time signatures.
fn meters(a: &Song, b: &Song, end: Beats) -> Vec<(Beats, Meter)> {
    let first = b.bar_before(b.notes.first().map_or(Beats(0.0), |note| note.at));
    let own = b.meter(first).1;
    let mut all = if own == a.meter(end).1 { Vec::new() } else { vec![(end, own)] };
    let later = b.meters.iter().filter(|(at, _)| at.0 > first.0 + 1e-9);
    all.extend(later.map(|(at, meter)| (*at - first + end, *meter)));
    all
}

/// What A and B do not share.
fn differences(a: &Song, b: &Song) -> Vec<String> {
    let (ours, theirs) = (key::name(&a.notes), key::name(&b.notes));
    let mut found = Vec::new();
    if ours != theirs && !ours.is_empty() && !theirs.is_empty() {
        found.push(format!("section_a is in {ours}, section_b in {theirs}"));
    }
    let (from, to) = (a.tempo(a.end()).0, b.tempo(Beats(0.0)).0);
    if (from - to).abs() > 0.01 {
        found.push(format!("the tempo goes from {from:.1} to {to:.1} over the bridge"));
    }
    found
}

/// Hints that are known act; others are named.
fn hints(ask: &Ask, plan: &mut Plan, notes: &[Note]) {
    for hint in &ask.hints {
        match hint.trim().to_lowercase().replace(['-', '_'], " ").as_str() {
            "fade out" => plan.page.fades = true,
            "modulate to relative minor" => match relative_minor(notes) {
                Some(scale) => plan.prompt.constraints.scale = scale,
                None => plan.warnings.push("section_a is in no major key: no relative minor".into()),
            },
            _ => plan.warnings.push(format!("the hint {hint:?} is not supported")),
        }
    }
}

/// Harmonic minor on the sixth step of the notes' major key, a bit each pitch class.
fn relative_minor(notes: &[Note]) -> Option<u16> {
    let name = key::name(notes);
    let major = (0..12_u16)
        .find(|tonic| key::tonic(*tonic as usize).is_some_and(|t| name == format!("{t} major")))?;
    let tonic = major + 9;
    Some([0, 2, 3, 5, 7, 8, 11].iter().map(|step| 1 << ((tonic + step) % 12)).fold(0, |a, b| a | b))
}
