//! What came out, as notes: every on with its off.

use super::{Recording, Sound};

/// A note that came out, in samples of the performance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pitched {
    /// Sample of the note-on.
    pub at: u64,
    /// Sample of the note-off.
    pub end: u64,
    /// MIDI key.
    pub key: u8,
    /// MIDI channel from 0.
    pub channel: u8,
    /// MIDI velocity.
    pub velocity: u8,
}

/// Pairs ons with offs. An error says which note hangs, which off belongs to none, or what is out of order.
pub fn paired(recording: &Recording) -> Result<Vec<Pitched>, String> {
    let mut open: Vec<Pitched> = Vec::new();
    let mut notes = Vec::new();
    let mut last = 0;
    for (at, sound) in &recording.events {
        if *at < last {
            return Err(format!("an event at {at} after one at {last}"));
        }
        last = *at;
        match *sound {
            Sound::On { channel, key, velocity } => {
                if open.iter().any(|n| (n.channel, n.key) == (channel, key)) {
                    return Err(format!("key {key} struck twice at {at} without an off between"));
                }
                open.push(Pitched { at: *at, end: u64::MAX, key, channel, velocity });
            }
            Sound::Off { channel, key } => {
                let Some(which) = open.iter().position(|n| (n.channel, n.key) == (channel, key)) else {
                    return Err(format!("an off for key {key} at {at}, which does not sound"));
                };
                notes.push(Pitched { end: *at, ..open.swap_remove(which) });
            }
            _ => {}
        }
    }
    if let Some(hanging) = open.first() {
        return Err(format!("key {} struck at {} hangs", hanging.key, hanging.at));
    }
    notes.sort_by_key(|n| (n.at, n.channel, n.key));
    Ok(notes)
}
