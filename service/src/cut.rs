//! A MIDI file without the notes that begin in some span, or without all that channels are told from a tick on;
//! everything else stays as it is.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;

use midly::{MidiMessage, Track, TrackEvent, TrackEventKind};

/// Takes the notes whose onsets lie in `span`, in ticks of the file, out of `track`.
pub fn cut(track: &mut Track<'_>, span: &Range<u64>) {
    let mut open: HashMap<(u8, u8), VecDeque<bool>> = HashMap::new();
    let (mut tick, mut owed) = (0_u64, 0_u32);
    track.retain_mut(|event| {
        tick += u64::from(event.delta.as_int());
        let TrackEventKind::Midi { channel, message } = event.kind else {
            event.delta = (event.delta.as_int() + std::mem::take(&mut owed)).into();
            return true;
        };
        let stays = match message {
            MidiMessage::NoteOn { key, vel } if vel.as_int() > 0 => {
                let stays = !span.contains(&tick);
                open.entry((channel.as_int(), key.as_int())).or_default().push_back(stays);
                stays
            }
            MidiMessage::NoteOn { key, .. } | MidiMessage::NoteOff { key, .. } => {
                open.get_mut(&(channel.as_int(), key.as_int())).and_then(VecDeque::pop_front).unwrap_or(true)
            }
            _ => true,
        };
        // Time passes for what comes next all the same.
        owed += event.delta.as_int();
        if stays {
            event.delta = std::mem::take(&mut owed).into();
        }
        stays
    });
}

/// The pedal's controller.
const PEDAL: u8 = 64;

/// Takes what channels are told at tick `to` or later out of `track`, but for the ends of notes that began
/// before it; a pedal that is down then goes up.
pub fn head(track: &mut Track<'_>, to: u64) {
    let mut open: HashMap<(u8, u8), u32> = HashMap::new();
    let mut down = [false; 16];
    let mut kept: Vec<(u64, TrackEventKind<'_>)> = Vec::new();
    let mut tick = 0_u64;
    for event in track.iter() {
        tick += u64::from(event.delta.as_int());
        if stays(event.kind, tick < to, &mut open, &mut down) {
            kept.push((tick, event.kind));
        }
    }
    let at = kept.partition_point(|(tick, _)| *tick < to);
    let lifted = (0..16_u8).filter(|channel| down[usize::from(*channel)]).map(|channel| {
        let message = MidiMessage::Controller { controller: PEDAL.into(), value: 0.into() };
        (to, TrackEventKind::Midi { channel: channel.into(), message })
    });
    kept.splice(at..at, lifted.collect::<Vec<_>>());
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
    kind: TrackEventKind<'_>,
    early: bool,
    open: &mut HashMap<(u8, u8), u32>,
    down: &mut [bool; 16],
) -> bool {
    let TrackEventKind::Midi { channel, message } = kind else { return true };
    let channel = channel.as_int();
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
