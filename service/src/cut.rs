//! A MIDI file without the notes that begin in some span; everything else stays as it is.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;

use midly::{MidiMessage, Track, TrackEventKind};

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
