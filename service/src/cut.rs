//! A MIDI file without some of its events; the others stay when they were.

use std::collections::{HashMap, VecDeque};

use midly::{MidiMessage, Track, TrackEventKind};

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
