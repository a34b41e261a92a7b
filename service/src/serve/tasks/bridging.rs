//! `bridge`: fills the gap between two sections, which stay note for note; what comes after is known beforehand.

use continuo_inference::{Model, TimeFrame, tasks};
use continuo_music::key;
use continuo_timeline::{Beats, Bpm, Meter, Note};

use super::continuing::instruments;
use super::given::{Line, open};
use super::page::{CLOCK, Page};
use super::ramp::Ramp;
use super::{Plan, heard, wishes};
use crate::placing::Placing;
use crate::serve::ask::Ask;
use crate::serve::failure::Failure;
use crate::song::Song;

/// Bars of a bridge whose length is not said.
const BARS: f64 = 4.0;
/// Notes of the second section that the model is told.
const TOLD: usize = 200;

/// What comes after, and the bar line from which it is played.
struct Next {
    song: Song,
    first: Line,
}

/// From the bar line after A to a bar line, where B begins.
pub fn plan(ask: &Ask, model: &Model) -> Result<Plan, Failure> {
    let a = open(model, "section_a", ask.sections.0.as_deref().unwrap_or_default())?;
    let b = ask.sections.1.as_deref().map(|bytes| open(model, "section_b", bytes)).transpose()?;
    let line = a.next_bar();
    let b = b.map(|given| Next { first: given.first_bar(), song: given.song });
    let ramp = Ramp {
        from: line.tempo,
        to: b.as_ref().map_or(line.tempo, |b| b.first.tempo),
        bar: line.meter.bar(),
    };
    let (start, end) = (line.at, Beats(line.at.0 + length(ask, model, &ramp)));
    // Nothing that A says about its own music stands in what comes after it.
    let a = a.song.head(start, start);
    let (frame, before) = heard(model, &a, start);
    let placed = b.as_ref().map(|b| placed(&a, b, end)).unwrap_or_default();
    let told: Vec<Note> = placed.iter().take(TOLD).copied().collect();
    let span = (frame.tick_after(start), frame.tick(end));
    let mut prompt = tasks::bridge(frame.events(before), frame.events(&told), span, ask.sampling);
    prompt.instruments = Some(ask.instruments.clone().unwrap_or_else(|| instruments(&a)));
    let report = b.as_ref().map(|b| differences(model.frame(), &a, b, &ramp)).unwrap_or_default();
    let song = match (model.frame(), &b) {
        (TimeFrame::Beats { .. }, Some(b)) => {
            a.with_changes(&tempos(b, &ramp, (start, end)), &meters(b, line.meter, end))
        }
        _ => a.clone(),
    };
    let seconds =
        song.seconds(placed.iter().map(|n| n.at + n.len).fold(end, |x, y| if y.0 > x.0 { y } else { x }));
    let mut page = Page::new(song, frame, (start, end));
    page.fixed = placed;
    let mut plan = wishes::grant(ask, Plan::new(prompt, page, seconds), &a.notes);
    plan.warnings.extend(report);
    hints(ask, &mut plan, &a.notes);
    Ok(plan)
}

/// Length of the bridge in the model's beats: whole bars, and whole ticks where those are seconds.
fn length(ask: &Ask, model: &Model, ramp: &Ramp) -> f64 {
    let bars = ask.seconds.map_or(BARS, |seconds| ramp.bars(seconds));
    match model.frame() {
        TimeFrame::Beats { .. } => bars * ramp.bar.0,
        TimeFrame::Seconds => (100.0 * ramp.seconds(bars)).round().max(1.0) / CLOCK,
    }
}

/// B's notes with its first bar at `to`, on channels that are its instruments' own.
fn placed(a: &Song, b: &Next, to: Beats) -> Vec<Note> {
    let frame = continuo_music::frame::Frame::beats(48, Beats(0.0));
    let placing = Placing::new(a, frame, to, &instruments(&b.song));
    let moved = |note: &Note| Note {
        at: note.at - b.first.at + to,
        channel: placing.channel(note.instrument).unwrap_or(note.channel),
        ..*note
    };
    b.song.notes.iter().map(moved).collect()
}

/// The tempos of the bridge, and B's own after it.
fn tempos(b: &Next, ramp: &Ramp, (start, end): (Beats, Beats)) -> Vec<(Beats, Bpm)> {
    let mut all = Vec::new();
    if !ramp.is_level() {
        let steps = ramp.steps((end.0 - start.0) / ramp.bar.0);
        all.extend(steps.into_iter().map(|(at, tempo)| (start + at, tempo)));
    }
    all.push((end, ramp.to));
    let later = b.song.tempos.iter().filter(|(at, _)| at.0 > b.first.at.0 + 1e-9);
    all.extend(later.map(|(at, tempo)| (*at - b.first.at + end, *tempo)));
    all
}

/// B's time signatures, where A has another.
fn meters(b: &Next, before: Meter, end: Beats) -> Vec<(Beats, Meter)> {
    let own = b.first.meter;
    let mut all = if own == before { Vec::new() } else { vec![(end, own)] };
    let later = b.song.meters.iter().filter(|(at, _)| at.0 > b.first.at.0 + 1e-9);
    all.extend(later.map(|(at, meter)| (*at - b.first.at + end, *meter)));
    all
}

/// What A and B do not share.
fn differences(frame: TimeFrame, a: &Song, b: &Next, ramp: &Ramp) -> Vec<String> {
    let (ours, theirs) = (key::name(&a.notes), key::name(&b.song.notes));
    let mut found = Vec::new();
    if ours != theirs && !ours.is_empty() && !theirs.is_empty() {
        found.push(format!("section_a is in {ours}, section_b in {theirs}"));
    }
    if !ramp.is_level() {
        let (from, to) = (ramp.from.0, ramp.to.0);
        found.push(match frame {
            TimeFrame::Beats { .. } => format!("the tempo goes from {from:.1} to {to:.1} over the bridge"),
            TimeFrame::Seconds => format!("the tempo is {from:.1} in section_a, {to:.1} in section_b"),
        });
    }
    found
}

/// Hints that are known act; others are named.
fn hints(ask: &Ask, plan: &mut Plan, notes: &[Note]) {
    for hint in &ask.hints {
        match hint.trim().to_lowercase().replace(['-', '_'], " ").as_str() {
            "fade out" => plan.page.fades = true,
            "modulate to relative minor" => match relative_minor(notes) {
                Some(scale) => plan.prompt.constraints.scale &= scale,
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
