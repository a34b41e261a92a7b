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

/// Pairs ons with offs. An error says which note hangs, which off belongs to none, or what is out of order; also which pedal
/// stays down at the end, or which bend is not in the middle.
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
    at_rest(recording)?;
    if let Some(hanging) = open.first() {
        return Err(format!("key {} struck at {} hangs", hanging.key, hanging.at));
    }
    notes.sort_by_key(|n| (n.at, n.channel, n.key));
    Ok(notes)
}

/// Whether every pedal that went down came up, and every bend went back.
fn at_rest(recording: &Recording) -> Result<(), String> {
    let (mut pedals, mut bends) = ([0_u8; 16], [(0_u8, 64_u8); 16]);
    for (_, sound) in &recording.events {
        match *sound {
            Sound::Midi([status, 64, value]) if status & 0xf0 == 0xb0 => {
                pedals[usize::from(status & 15)] = value;
            }
            Sound::Midi([status, low, high]) if status & 0xf0 == 0xe0 => {
                bends[usize::from(status & 15)] = (low, high);
            }
            _ => {}
        }
    }
    for (channel, (pedal, bend)) in pedals.into_iter().zip(bends).enumerate() {
        if pedal >= 64 {
            return Err(format!("the pedal of channel {channel} stays down"));
        }
        // Half of 14 bits is between two values.
        if !matches!(bend, (0, 64) | (127, 63)) {
            return Err(format!("the bend of channel {channel} stays at {bend:?}"));
        }
    }
    Ok(())
}
