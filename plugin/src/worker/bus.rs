//! What the instances of this process play, for those that want to hear each other. Worker to worker: the audio
//! threads never come near.
//!
//! Each instance says every quarter of a beat what sounded by then, in song positions. Where the host renders offline
//! an instance hears only what is older than a beat: by then every other has said it, in whatever order and blocks the
//! host works, so that a render repeats. At a seek or a loop's wrap the song positions of two instances differ for a
//! block, and neither hears the other in it; there a render may depend on the block size.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use continuo_music::history::order;
use continuo_timeline::{Beats, Note, Tick};

/// How far back others are heard, in beats, and how many of their notes.
pub const REACH: f64 = 16.0;
const MOST: usize = 64;
/// How much older than now what is heard offline must be, in beats.
const BEHIND: f64 = 1.0;
/// Who says nothing for this many beats of song (live: this long) is not there.
const GONE: f64 = 2.0;
const GONE_LIVE: Duration = Duration::from_secs(2);

/// What one instance said last.
struct Said {
    song: Beats,
    when: Instant,
    /// At song positions; and whether one leads: who hears others is not followed in turn, except for what the player
    /// plays, or two instances would keep each other going for ever.
    notes: Vec<(Note, bool)>,
}

/// What the others play.
#[derive(Default)]
pub struct Others {
    /// Their notes of late, on the line, in order of onset.
    pub notes: Vec<Note>,
    /// Onset of the last one that leads.
    pub led: Option<Beats>,
}

type Seat = Mutex<Option<Said>>;

static SEATS: Mutex<Vec<Weak<Seat>>> = Mutex::new(Vec::new());
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// An instance's place among the others.
pub struct Player {
    seat: Arc<Seat>,
}

impl Player {
    /// Takes a seat.
    pub fn join() -> Self {
        let seat = Arc::new(Seat::default());
        SEATS.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(&seat));
        COUNT.fetch_add(1, Ordering::Relaxed);
        Self { seat }
    }

    /// Whether there is anybody else.
    pub fn is_alone(&self) -> bool {
        COUNT.load(Ordering::Relaxed) < 2
    }

    /// Says what sounded by this tick: notes on the line, and whether they lead.
    pub fn say(&self, tick: &Tick, mut notes: Vec<(Note, bool)>) {
        let shift = tick.song.0 - tick.at.0;
        notes.retain(|(note, _)| note.at.0 < tick.at.0 && note.at.0 >= tick.at.0 - REACH - 4.0);
        notes.iter_mut().for_each(|(note, _)| note.at.0 += shift);
        let said = Said { song: tick.song, when: Instant::now(), notes };
        *self.seat.lock().unwrap_or_else(PoisonError::into_inner) = Some(said);
    }

    /// Says nothing more until [`Self::say`]: the host has put this instance away.
    pub fn go_away(&self) {
        *self.seat.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// What the others played lately.
    pub fn others(&self, tick: &Tick) -> Others {
        let until = if tick.offline { tick.song.0 - BEHIND } else { tick.song.0 };
        let mut heard: Vec<(Note, bool)> = Vec::new();
        for seat in self.other_seats() {
            let said = seat.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(said) = said.as_ref().filter(|said| said.is_there(tick)) {
                heard.extend(said.notes.iter().filter_map(|(note, leads)| Some((by(note, until)?, *leads))));
            }
        }
        heard.iter_mut().for_each(|(note, _)| note.at.0 += tick.at.0 - tick.song.0);
        // Seats are taken in any order.
        let length = |note: &Note| (note.len.0 * 1e6).round();
        heard.sort_by(|(a, _), (b, _)| order(a, b).then(length(a).total_cmp(&length(b))));
        let led = heard.iter().rev().find(|(_, leads)| *leads).map(|(note, _)| note.at);
        let from = heard.len().saturating_sub(MOST);
        Others { notes: heard.into_iter().skip(from).map(|(note, _)| note).collect(), led }
    }

    fn other_seats(&self) -> Vec<Arc<Seat>> {
        let seats = SEATS.lock().unwrap_or_else(PoisonError::into_inner);
        seats.iter().filter_map(Weak::upgrade).filter(|seat| !Arc::ptr_eq(seat, &self.seat)).collect()
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        let mut seats = SEATS.lock().unwrap_or_else(PoisonError::into_inner);
        seats.retain(|seat| !std::ptr::eq(seat.as_ptr(), Arc::as_ptr(&self.seat)));
        COUNT.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Said {
    /// Whether it is of now: who is frozen or bypassed by the host stays where it was.
    fn is_there(&self, tick: &Tick) -> bool {
        (self.song.0 - tick.song.0).abs() <= GONE && (tick.offline || self.when.elapsed() <= GONE_LIVE)
    }
}

/// What of a note was heard by a song position.
fn by(note: &Note, until: f64) -> Option<Note> {
    let heard = (until - REACH - 1e-6..until - 1e-6).contains(&note.at.0);
    heard.then(|| Note { len: Beats(note.len.0.min(until - note.at.0).max(1.0 / 48.0)), ..*note })
}

#[cfg(test)]
mod tests {
    use continuo_timeline::{Bpm, Channel, Epoch, Instrument, Key, Meter, Velocity};

    use super::*;

    fn tick(at: f64, song: f64, offline: bool) -> Tick {
        let (at, song, bar) = (Beats(at), Beats(song), Beats(0.0));
        let (meter, tempo, epoch) = (Meter::COMMON, Bpm(120.0), Epoch(0));
        Tick { at, song, bar, wrap: None, meter, tempo, playing: true, offline, epoch }
    }

    fn note(at: f64, len: f64, key: u8) -> Note {
        let (velocity, instrument, channel) = (Velocity(80), Instrument(0), Channel(0));
        Note { at: Beats(at), len: Beats(len), key: Key(key), velocity, instrument, channel }
    }

    /// Keys this test alone uses: other tests of this process sit on the bus too.
    fn heard(player: &Player, tick: &Tick, keys: &[u8]) -> Vec<(f64, f64, u8)> {
        let notes = player.others(tick).notes.into_iter().filter(|note| keys.contains(&note.key.0));
        notes.map(|note| (note.at.0, note.len.0, note.key.0)).collect()
    }

    #[test]
    fn others_are_heard_at_their_place_in_the_song_and_oneself_is_not() {
        let (a, b) = (Player::join(), Player::join());
        assert!(!a.is_alone());
        // The line of one is at 20, of the other at 120, where the song is at 8.
        a.say(
            &tick(20.0, 8.0, false),
            [(18.0, 0.5, 1), (19.5, 3.0, 2), (20.5, 1.0, 3)]
                .map(|(at, len, key)| (note(at, len, key), key == 1))
                .to_vec(),
        );
        let keys = [1, 2, 3];
        assert_eq!(heard(&b, &tick(120.0, 8.0, false), &keys), [(118.0, 0.5, 1), (119.5, 0.5, 2)]);
        assert_eq!(heard(&a, &tick(20.0, 8.0, false), &keys), []);
        // Offline only what is a beat old, as far as it was heard by then.
        assert_eq!(heard(&b, &tick(120.0, 8.0, true), &keys), [(118.0, 0.5, 1)]);
        assert_eq!(heard(&b, &tick(121.0, 9.0, true), &keys), [(118.0, 0.5, 1), (119.5, 0.5, 2)]);
        drop(a);
        assert_eq!(heard(&b, &tick(120.0, 8.0, false), &keys), []);
    }

    #[test]
    fn who_is_elsewhere_in_the_song_is_not_there() {
        let (a, b) = (Player::join(), Player::join());
        a.say(&tick(20.0, 8.0, true), vec![(note(19.0, 0.5, 5), true)]);
        assert_eq!(heard(&b, &tick(40.0, 9.5, true), &[5]).len(), 1);
        assert_eq!(heard(&b, &tick(40.0, 11.0, true), &[5]), []);
        assert_eq!(heard(&b, &tick(40.0, 0.0, true), &[5]), []);
    }
}
