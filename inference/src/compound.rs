//! Notes with velocities ("compound words") from MIDI, to events and back, as the reference does it; and a
//! writer for musicians, which keeps tempo, meter and velocity.

use crate::error::Error;
use crate::midi::{Kind, Midi, MidiError};
use crate::ops::{CONTROL, Token, triplets};
use crate::vocabulary::{DUR, MAX_DUR, NOTE, REST, SEPARATOR};
use continuo_timeline::{Bpm, Meter};
use std::collections::{HashMap, VecDeque};

/// Duration in ticks of a note that is never released.
const UNRELEASED: Token = 25;
/// Velocity of notes that come from events, which have none.
const VELOCITY: u8 = 72;

/// A note, in ticks of 10 ms (or of the writer's clock).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compound {
    /// Onset.
    pub onset: Token,
    /// Duration; -1 if the note is never released.
    pub duration: Token,
    /// Key, 0 to 127.
    pub key: u8,
    /// Program, or 128 for drums.
    pub instrument: u8,
    /// Velocity, 1 to 127.
    pub velocity: u8,
}

impl Compound {
    /// As the reference writes it: onset, duration, key, instrument, velocity.
    pub fn flat(self) -> [Token; 5] {
        [self.onset, self.duration, self.key.into(), self.instrument.into(), self.velocity.into()]
    }
}

/// The notes of a file, in order of onset; at equal onsets in order of messages.
#[allow(clippy::cast_possible_truncation)] // rounding to whole ticks is meant
pub fn from_midi(midi: &Midi) -> Vec<Compound> {
    let mut notes: Vec<Compound> = Vec::new();
    let mut open: HashMap<(u8, u8, u8), VecDeque<(usize, f64)>> = HashMap::new();
    let mut programs = [0_u8; 16];
    let instrument_of = |channel: u8, programs: &[u8; 16]| {
        if channel == 9 { 128 } else { programs[usize::from(channel & 15)] }
    };
    for (seconds, kind) in midi.in_seconds() {
        match kind {
            Kind::Program { channel, program } => programs[usize::from(channel & 15)] = program,
            Kind::On { channel, key, velocity } => {
                let instrument = instrument_of(channel, &programs);
                open.entry((instrument, key, channel)).or_default().push_back((notes.len(), seconds));
                let onset = (100.0 * seconds).round_ties_even() as Token;
                notes.push(Compound { onset, duration: -1, key, instrument, velocity });
            }
            Kind::Off { channel, key } => {
                // The first that is open goes out; a program change in between leaves it open for good.
                let queue = open.get_mut(&(instrument_of(channel, &programs), key, channel));
                if let Some((index, onset)) = queue.and_then(VecDeque::pop_front) {
                    notes[index].duration = (100.0 * (seconds - onset)).round_ties_even() as Token;
                }
            }
            Kind::Tempo(_) | Kind::End | Kind::Other => {}
        }
    }
    notes
}

/// Event triplets of notes. Durations end at 9.99 s. Onsets are not limited: from 100 s on they are no
/// tokens, and must be brought near 0 before a model sees them.
pub fn to_events(notes: &[Compound]) -> Vec<Token> {
    let event = |note: &Compound| {
        let duration = if note.duration < 0 { UNRELEASED } else { note.duration };
        let pitch = 128 * Token::from(note.instrument) + Token::from(note.key);
        let duration = duration.min(Token::from(MAX_DUR) - 1);
        [note.onset, Token::from(DUR) + duration, Token::from(NOTE) + pitch]
    };
    notes.iter().flat_map(event).collect()
}

/// What makes a triplet a control when controls are folded into events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fold {
    /// Its note token.
    ByNote,
    /// Each token by itself, as in the reference: an onset at or after 275.13 s falls back to the start.
    ByToken,
}

/// Notes of triplets: RESTs dropped, controls folded in, each sequence after a separator put behind the one
/// before it. Fails on tokens that are no notes. (The reference also fails on nothing at all.)
pub fn from_events(tokens: &[Token], fold: Fold) -> Result<Vec<Compound>, Error> {
    let separator = Token::from(SEPARATOR);
    let (mut offset, mut longest) = (0, 0);
    let mut notes = Vec::new();
    for triplet in triplets(tokens).filter(|[.., note]| *note != Token::from(REST)) {
        if triplet == [separator; 3] {
            offset += longest;
            longest = 0;
            continue;
        }
        let [onset, duration, note] = folded(triplet, fold)?;
        let (duration, note) = (duration - Token::from(DUR), note - Token::from(NOTE));
        longest = longest.max(onset + duration);
        notes.push(checked(onset + offset, duration, note).ok_or_else(|| not_a_note(triplet))?);
    }
    Ok(notes)
}

fn folded(triplet: [Token; 3], fold: Fold) -> Result<[Token; 3], Error> {
    let one = |token: Token| if token >= CONTROL { token - CONTROL } else { token };
    match fold {
        Fold::ByNote if triplet[2] >= CONTROL => Ok(triplet.map(|token| token - CONTROL)),
        Fold::ByNote => Ok(triplet),
        Fold::ByToken if triplet.contains(&Token::from(SEPARATOR)) => Err(not_a_note(triplet)),
        Fold::ByToken => Ok(triplet.map(one)),
    }
}

fn checked(onset: Token, duration: Token, note: Token) -> Option<Compound> {
    let inside = onset >= 0 && (0..Token::from(MAX_DUR)).contains(&duration) && note >= 0;
    let key = u8::try_from(note % 128).ok()?;
    let instrument = u8::try_from(note / 128).ok().filter(|instrument| *instrument <= 128)?;
    inside.then_some(Compound { onset, duration, key, instrument, velocity: VELOCITY })
}

fn not_a_note(triplet: [Token; 3]) -> Error {
    Error::Prompt(format!("the tokens {triplet:?} are no note"))
}

/// A message of a written file: track, tick, status byte, first data byte, and second if it has one.
pub type Written = (usize, Token, u8, u8, Option<u8>);

/// The reference's layout: a track for each instrument in order of appearance, its program first. At equal
/// ticks onsets precede releases. Fails where its count of channels passes 16; drums count too.
pub fn layout(notes: &[Compound]) -> Result<Vec<Written>, MidiError> {
    let mut order: Vec<(Token, u8, &Compound)> = Vec::with_capacity(2 * notes.len());
    for note in notes {
        order.push((note.onset, 0, note));
        order.push((note.onset + note.duration, 1, note));
    }
    order.sort_by_key(|(tick, kind, _)| (*tick, *kind));
    let mut tracks: HashMap<u8, (usize, u8)> = HashMap::new();
    let mut next = 0_u8;
    let mut written = Vec::new();
    for (tick, kind, note) in order {
        let known = tracks.get(&note.instrument).copied();
        let (track, channel) = match known {
            Some(known) => known,
            None if kind == 1 => continue,
            None => {
                let channel = if note.instrument == 128 { 9 } else { next };
                next += if next == 8 { 2 } else { 1 };
                if channel > 15 {
                    return Err(MidiError::Channels(tracks.len() + 1));
                }
                let track = (tracks.len(), channel);
                tracks.insert(note.instrument, track);
                written.push((track.0, 0, 0xc0 | channel, note.instrument % 128, None));
                track
            }
        };
        let (status, velocity) = if kind == 0 { (0x90, note.velocity) } else { (0x80, 64) };
        written.push((track, tick, status | channel, note.key, Some(velocity)));
    }
    Ok(written)
}

/// A file of 50 ticks a beat at 120 beats a minute, so a tick is 10 ms: the reference's, byte for byte.
pub fn to_midi(notes: &[Compound]) -> Result<Vec<u8>, MidiError> {
    let written = layout(notes)?;
    let count = written.iter().map(|message| message.0 + 1).max().unwrap_or(0);
    let mut tracks: Vec<Track> = (0..count).map(|_| Track::default()).collect();
    for (track, tick, status, first, second) in written {
        tracks[track].message(tick, status, first, second);
    }
    Ok(file(50, tracks))
}

/// Ticks a beat of [`to_score`].
pub const SCORE_TICKS: u16 = 480;

/// A file for musicians: `notes` in ticks of 480 a beat with their velocities, a first track with tempo and
/// meter, then one for each instrument. Releases precede onsets at equal ticks.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub fn to_score(notes: &[Compound], tempo: Bpm, meter: Meter) -> Result<Vec<u8>, MidiError> {
    let mut first = Track::default();
    let microseconds = (60e6 / tempo.0.max(4.0)).round() as u32;
    first.meta(0x51, &microseconds.to_be_bytes()[1..]);
    let power = meter.denominator.max(1).trailing_zeros() as u8;
    first.meta(0x58, &[meter.numerator, power, 24, 8]);
    let mut instruments: Vec<u8> = Vec::new();
    for note in notes.iter().filter(|note| note.duration >= 0) {
        if !instruments.contains(&note.instrument) {
            instruments.push(note.instrument);
        }
    }
    let mut free = (0..16_u8).filter(|channel| *channel != 9);
    let mut tracks = vec![first];
    for &instrument in &instruments {
        let channel = if instrument == 128 { Some(9) } else { free.next() };
        let channel = channel.ok_or(MidiError::Channels(instruments.len()))?;
        tracks.push(part(notes.iter().filter(|note| note.instrument == instrument), instrument, channel));
    }
    Ok(file(SCORE_TICKS, tracks))
}

fn part<'a>(notes: impl Iterator<Item = &'a Compound>, instrument: u8, channel: u8) -> Track {
    let mut messages = Vec::new();
    for note in notes.filter(|note| note.duration >= 0) {
        let key = note.key & 127;
        messages.push((note.onset, 1, 0x90 | channel, key, note.velocity.clamp(1, 127)));
        messages.push((note.onset + note.duration.max(1), 0, 0x80 | channel, key, 64));
    }
    messages.sort_by_key(|message| (message.0, message.1));
    let mut track = Track::default();
    track.message(0, 0xc0 | channel, instrument % 128, None);
    for (tick, _, status, key, velocity) in messages {
        track.message(tick, status, key, Some(velocity));
    }
    track
}

#[derive(Default)]
struct Track {
    bytes: Vec<u8>,
    tick: Token,
    status: u8,
}

impl Track {
    fn message(&mut self, tick: Token, status: u8, first: u8, second: Option<u8>) {
        number(&mut self.bytes, (tick - self.tick).max(0));
        self.tick = tick.max(self.tick);
        if status != self.status {
            self.bytes.push(status);
            self.status = status;
        }
        self.bytes.push(first);
        self.bytes.extend(second);
    }

    fn meta(&mut self, kind: u8, data: &[u8]) {
        self.status = 0;
        self.bytes.extend([0, 0xff, kind]);
        number(&mut self.bytes, Token::try_from(data.len()).unwrap_or(Token::MAX));
        self.bytes.extend(data);
    }
}

/// A number in groups of seven bits, the last without its high bit.
fn number(bytes: &mut Vec<u8>, value: Token) {
    let groups = (1..9).rev().skip_while(|group| value >> (7 * group) == 0);
    bytes.extend(groups.map(|group| (value >> (7 * group)).to_le_bytes()[0] | 0x80));
    bytes.push(value.to_le_bytes()[0] & 0x7f);
}

fn file(division: u16, tracks: Vec<Track>) -> Vec<u8> {
    let count = u16::try_from(tracks.len()).unwrap_or(u16::MAX);
    let mut bytes = b"MThd\0\0\0\x06\0\x01".to_vec();
    bytes.extend(count.to_be_bytes());
    bytes.extend(division.to_be_bytes());
    for mut track in tracks {
        track.meta(0x2f, &[]);
        bytes.extend(b"MTrk");
        bytes.extend(u32::try_from(track.bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
        bytes.extend(track.bytes);
    }
    bytes
}
