//! Tempos and time signatures of a MIDI file, from some place on replaced by others.

use continuo_timeline::{Beats, Bpm, Meter};
use midly::{MetaMessage, Track, TrackEvent, TrackEventKind};

/// A tempo as a file says it: whole microseconds a quarter note.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped to 24 bits
pub fn tempo(bpm: Bpm) -> MetaMessage<'static> {
    MetaMessage::Tempo(((60e6 / bpm.0).round().clamp(1.0, 16_777_215.0) as u32).into())
}

/// A time signature as a file says it.
pub fn meter(meter: Meter) -> MetaMessage<'static> {
    let power = u8::try_from(meter.denominator.max(1).trailing_zeros()).unwrap_or(2);
    MetaMessage::TimeSignature(meter.numerator, power, 24, 8)
}

/// Takes tempos and time signatures from tick `from` on out of a track, and puts `changes` in, which are in
/// absolute ticks too.
pub fn conduct<'a>(track: &mut Track<'a>, from: u32, changes: &[(u32, MetaMessage<'static>)]) {
    let mut tick = 0_u32;
    let mut events: Vec<(u32, TrackEventKind<'a>)> = Vec::with_capacity(track.len() + changes.len());
    for event in track.drain(..) {
        tick = tick.saturating_add(event.delta.as_int());
        match event.kind {
            TrackEventKind::Meta(MetaMessage::EndOfTrack) => {}
            TrackEventKind::Meta(MetaMessage::Tempo(_) | MetaMessage::TimeSignature(..)) if tick >= from => {}
            kind => events.push((tick, kind)),
        }
    }
    events.extend(changes.iter().map(|&(at, change)| (at, TrackEventKind::Meta(change))));
    events.sort_by_key(|&(at, _)| at);
    let end = events.last().map_or(tick, |&(at, _)| at.max(tick));
    events.push((end, TrackEventKind::Meta(MetaMessage::EndOfTrack)));
    let mut now = 0;
    track.extend(events.into_iter().map(|(at, kind)| {
        let delta = (at - now).into();
        now = at;
        TrackEvent { delta, kind }
    }));
}

/// A track of tempos and time signatures; `tick` says where a beat is.
pub fn changes(
    tempos: &[(Beats, Bpm)],
    meters: &[(Beats, Meter)],
    tick: impl Fn(Beats) -> u32,
) -> Track<'static> {
    let mut events: Vec<(u32, MetaMessage<'static>)> = Vec::new();
    events.extend(tempos.iter().map(|&(at, bpm)| (tick(at), tempo(bpm))));
    events.extend(meters.iter().map(|&(at, kind)| (tick(at), meter(kind))));
    let mut track = Track::new();
    conduct(&mut track, 0, &events);
    track
}
