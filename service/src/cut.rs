//! A MIDI file without some of its events, or without all that channels are told from a tick on; the others stay
//! when they were.

use std::collections::{HashMap, VecDeque};

use midly::{MetaMessage, MidiMessage, Track, TrackEvent, TrackEventKind};

/// Takes notes out of `track` where `stays` says no to their onset in ticks of the file, channel and key.
pub fn cut(track: &mut Track<'_>, mut stays: impl FnMut(u64, u8, u8) -> bool) {
    let mut open: HashMap<(u8, u8), VecDeque<bool>> = HashMap::new();
    thin(track, |tick, channel, message| match message {
        MidiMessage::NoteOn { key, vel } if vel.as_int() > 0 => {
            let stays = stays(tick, channel, key.as_int());
            open.entry((channel, key.as_int())).or_default().push_back(stays);
            stays
        }
        MidiMessage::NoteOn { key, .. } | MidiMessage::NoteOff { key, .. } => {
            open.get_mut(&(channel, key.as_int())).and_then(VecDeque::pop_front).unwrap_or(true)
        }
        _ => true,
    });
}

/// Takes out of `track` all that is said to channels that nobody plays on.
pub fn silence(track: &mut Track<'_>, plays: impl Fn(u8) -> bool) {
    thin(track, |_, channel, _| plays(channel));
}

/// Takes channel messages out where `stays` says no.
fn thin(track: &mut Track<'_>, mut stays: impl FnMut(u64, u8, MidiMessage) -> bool) {
    let (mut tick, mut owed) = (0_u64, 0_u32);
    track.retain_mut(|event| {
        tick += u64::from(event.delta.as_int());
        // Time passes for what comes next, whether this stays or not.
        owed += event.delta.as_int();
        let kept = match event.kind {
            TrackEventKind::Midi { channel, message } => stays(tick, channel.as_int(), message),
            _ => true,
        };
        if kept {
            event.delta = std::mem::take(&mut owed).into();
        }
        kept
    });
}

/// The pedal's controller.
const PEDAL: u8 = 64;

/// Takes what is said at tick `to` or later out of `track`, but for the ends of notes that began before it, and tempos
/// and time signatures up to `until`; a pedal that is down then goes up. The track ends with the last that stays.
pub fn head(track: &mut Track<'_>, to: u64, until: u64) {
    let mut open: HashMap<(u8, u8), u32> = HashMap::new();
    let mut down = [false; 16];
    let mut kept: Vec<(u64, TrackEventKind<'_>)> = Vec::new();
    let (mut tick, mut end) = (0_u64, None);
    for event in track.iter() {
        tick += u64::from(event.delta.as_int());
        let stays = match event.kind {
            TrackEventKind::Meta(MetaMessage::EndOfTrack) => {
                end = Some(tick.min(to));
                false
            }
            TrackEventKind::Meta(MetaMessage::Tempo(_) | MetaMessage::TimeSignature(..)) => tick <= until,
            TrackEventKind::Midi { channel, message } => {
                stays((channel.as_int(), message), tick < to, &mut open, &mut down)
            }
            _ => tick < to,
        };
        if stays {
            kept.push((tick, event.kind));
        }
    }
    let at = kept.partition_point(|(tick, _)| *tick < to);
    let lifted = (0..16_u8).filter(|channel| down[usize::from(*channel)]).map(|channel| {
        let message = MidiMessage::Controller { controller: PEDAL.into(), value: 0.into() };
        (to, TrackEventKind::Midi { channel: channel.into(), message })
    });
    kept.splice(at..at, lifted.collect::<Vec<_>>());
    let last = kept.last().map_or(0, |(last, _)| *last);
    kept.extend(end.map(|end| (end.max(last), TrackEventKind::Meta(MetaMessage::EndOfTrack))));
    let mut now = 0;
    *track = kept
        .into_iter()
        .map(|(tick, kind)| {
            let delta = u32::try_from(tick - now).unwrap_or(u32::MAX).min(0x0FFF_FFFF).into();
            now = tick;
            TrackEvent { delta, kind }
        })
        .collect();
}

fn stays(
    (channel, message): (u8, MidiMessage),
    early: bool,
    open: &mut HashMap<(u8, u8), u32>,
    down: &mut [bool; 16],
) -> bool {
    match message {
        MidiMessage::NoteOn { key, vel } if vel.as_int() > 0 => {
            if early {
                *open.entry((channel, key.as_int())).or_default() += 1;
            }
            early
        }
        MidiMessage::NoteOn { key, .. } | MidiMessage::NoteOff { key, .. } => {
            match open.get_mut(&(channel, key.as_int())).filter(|count| **count > 0) {
                Some(count) => {
                    *count -= 1;
                    true
                }
                None => early,
            }
        }
        MidiMessage::Controller { controller, value } if controller.as_int() == PEDAL && early => {
            down[usize::from(channel & 15)] = value.as_int() >= 64;
            true
        }
        _ => early,
    }
}
