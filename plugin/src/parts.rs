//! Which part of the built-in sound plays what.

use continuo_timeline::Channel;

/// The metronome's part.
pub const CLICKS: Channel = Channel(32);

/// Generated notes sound on parts of their own (16 to 31), so that a player's note-off does not end them.
/// Realtime: yes.
pub fn answer_part(channel: Channel) -> Channel {
    Channel(channel.0 | 16)
}
