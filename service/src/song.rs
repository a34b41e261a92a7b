//! A MIDI file in beats: what `continuo continue` reads, and the same file with an answer added.
//!
//! The file that comes in is kept event for event; the answer is written as tracks of its own behind it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::conduct::{changes, conduct, meter, tempo};
use crate::cut::{cut, head, silence};
use continuo_inference::compound::to_score;
use continuo_timeline::{Beats, Bpm, Channel, Instrument, Key, Meter, Note, Velocity};
use midly::{Format, Header, MetaMessage, MidiMessage, Smf, Timing, TrackEvent, TrackEventKind};

/// Why a file cannot be used. Each message names the file and the way out.
#[allow(missing_docs)] // the messages say what the fields are
#[derive(Debug, thiserror::Error)]
pub enum SongError {
    /// The file could not be read.
    #[error("cannot read {path}: {source}")]
    Read { path: PathBuf, source: std::io::Error },
    /// Not a MIDI file, or a damaged one.
    #[error(
        "{path} is not a MIDI file that can be read ({reason}); export it again as a Standard MIDI File, type 0 or 1"
    )]
    Parse { path: PathBuf, reason: String },
    /// Time in SMPTE frames.
    #[error(
        "{path} counts time in SMPTE frames; only files in ticks a quarter note can be continued: export it with musical time"
    )]
    Smpte { path: PathBuf },
    /// Several songs in one file.
    #[error("{path} is of type 2 (independent sequences); save the sequence wanted as type 0 or 1")]
    Sequences { path: PathBuf },
    /// A delta that nobody meant.
    #[error("{path} lasts {beats:.0} beats, where {most:.0} are the most; cut it, or export it again")]
    Long { path: PathBuf, beats: f64, most: f64 },
    /// A part that is not there.
    #[error("{path} has no notes of {part}; it has {others}")]
    Part { path: PathBuf, part: String, others: String },
    /// Nothing to continue.
    #[error("{path} has no notes; give a file with at least one")]
    Empty { path: PathBuf },
}

/// Beats that a song may last: more than a day at 120 a minute.
const LONGEST: f64 = 200_000.0;
/// Keys are let go so many beats behind the line that was meant.
const RELEASE: f64 = 0.125;
/// Ticks that a file can put between two events.
const MOST_TICKS: f64 = 268_435_455.0;

/// A song in beats.
#[derive(Clone)]
pub struct Song {
    /// Notes by onset.
    pub notes: Vec<Note>,
    /// Tempo changes: where, and how fast from there on. The first is at 0.
    pub tempos: Vec<(Beats, Bpm)>,
    /// Time signatures, the same way.
    pub meters: Vec<(Beats, Meter)>,
    /// Seconds that have passed at each of `tempos`.
    passed: Vec<f64>,
    /// Ticks a quarter note of the file.
    division: u16,
    /// The bytes as they came, so that writing loses nothing.
    bytes: Vec<u8>,
}

impl Song {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self, SongError> {
        let bytes = std::fs::read(path).map_err(|source| SongError::Read { path: path.into(), source })?;
        match Self::parse(path, bytes) {
            Ok(song) if song.notes.is_empty() => Err(SongError::Empty { path: path.into() }),
            song => song,
        }
    }

    /// A song without notes.
    pub fn blank(tempo: Bpm, meter: Meter) -> Result<Self, SongError> {
        let path = Path::new("a new song");
        let bytes = to_score(&[], tempo, meter)
            .map_err(|error| SongError::Parse { path: path.into(), reason: error.to_string() })?;
        Self::parse(path, bytes)
    }

    /// A file in memory; `path` is for messages.
    pub fn parse(path: &Path, bytes: Vec<u8>) -> Result<Self, SongError> {
        let fail = |reason: &str| SongError::Parse { path: path.into(), reason: reason.into() };
        if !bytes.starts_with(b"MThd") {
            return Err(fail("it does not begin with MThd"));
        }
        if counts_frames(&bytes) {
            return Err(SongError::Smpte { path: path.into() });
        }
        let smf = Smf::parse(&bytes).map_err(|error| fail(&error.to_string()))?;
        let division = match smf.header.timing {
            Timing::Metrical(ticks) if ticks.as_int() > 0 => ticks.as_int(),
            Timing::Metrical(_) => return Err(fail("0 ticks a beat")),
            Timing::Timecode(..) => return Err(SongError::Smpte { path: path.into() }),
        };
        if smf.header.format == Format::Sequential {
            return Err(SongError::Sequences { path: path.into() });
        }
        let mut reader = Reader::new(f64::from(division));
        for (tick, event) in merged(&smf) {
            reader.take(tick, event);
        }
        let most = LONGEST.min(MOST_TICKS / f64::from(division));
        if reader.last.0 > most {
            return Err(SongError::Long { path: path.into(), beats: reader.last.0, most });
        }
        let (notes, tempos, meters) = reader.finish();
        let passed = passed(&tempos);
        Ok(Self { notes, tempos, meters, passed, division, bytes })
    }

    /// Where the last note ends.
    pub fn end(&self) -> Beats {
        Beats(self.notes.iter().map(|note| note.at.0 + note.len.0).fold(0.0, f64::max))
    }

    /// The bar line at which what follows begins. A release that comes a little behind it does not count, an onset does.
    pub fn next_bar(&self) -> Beats {
        let last = self.notes.last().map_or(0.0, |note| note.at.0);
        self.bar_after(Beats((self.end().0 - RELEASE).max(last + 1e-5)))
    }

    /// Tempo at `at`.
    pub fn tempo(&self, at: Beats) -> Bpm {
        before(&self.tempos, at).1
    }

    /// Time signature at `at`, and where it began (a bar line).
    pub fn meter(&self, at: Beats) -> (Beats, Meter) {
        before(&self.meters, at)
    }

    /// The last bar line at or before `at`.
    pub fn bar_before(&self, at: Beats) -> Beats {
        let (from, meter) = self.meter(at);
        let bars = ((at.0 - from.0) / meter.bar().0 + 1e-9).floor();
        Beats(from.0 + bars * meter.bar().0)
    }

    /// The first bar line at or after `at`.
    pub fn bar_after(&self, at: Beats) -> Beats {
        let bar = self.bar_before(at);
        if at.0 - bar.0 < 1e-6 { bar } else { Beats(bar.0 + self.meter(at).1.bar().0) }
    }

    /// Where `at` is in ticks of the file.
    pub(crate) fn tick(&self, at: Beats) -> u64 {
        ticks(at, f64::from(self.division)).into()
    }

    /// Seconds from the start of the song to `at`.
    pub fn seconds(&self, at: Beats) -> f64 {
        let before = self.tempos.partition_point(|(from, _)| from.0 < at.0);
        let Some(index) = before.checked_sub(1) else { return 0.0 };
        let (from, tempo) = self.tempos[index];
        self.passed[index] + (at.0 - from.0) * 60.0 / tempo.0
    }

    /// The beat at which so many seconds have passed.
    pub fn beat(&self, seconds: f64) -> Beats {
        let before = self.passed.partition_point(|passed| *passed <= seconds);
        let index = before.saturating_sub(1);
        let (from, tempo) = self.tempos[index];
        Beats(from.0 + (seconds - self.passed[index]) * tempo.0 / 60.0)
    }

    /// The song up to `to`: notes that begin there or later are gone, and so is what else was said. Tempos and time
    /// signatures stay up to `until`.
    pub fn head(&self, to: Beats, until: Beats) -> Self {
        let mut all = self
            .changed(|track, tick| head(track, tick(to), tick(until)), |note, tick| tick(note.at) < tick(to));
        let early = |at: Beats| self.tick(at) <= self.tick(until);
        all.tempos.retain(|(at, _)| early(*at));
        all.meters.retain(|(at, _)| early(*at));
        all.passed.truncate(all.tempos.len());
        all
    }

    /// The song without the notes that begin from `from` to before `to`.
    pub fn without(&self, from: Beats, to: Beats) -> Self {
        self.changed(
            |track, tick| cut(track, |at, _, _| !(tick(from)..tick(to)).contains(&at)),
            |note, tick| !(tick(from)..tick(to)).contains(&tick(note.at)),
        )
    }

    /// The song with other tempos and time signatures from some beats on, in a track of their own.
    pub fn with_changes(&self, tempos: &[(Beats, Bpm)], meters: &[(Beats, Meter)]) -> Self {
        let mut all = self.clone();
        if !tempos.is_empty() || !meters.is_empty() {
            all.add(changes(tempos, meters, |at| ticks(at, f64::from(self.division))));
        }
        tempos.iter().for_each(|(at, tempo)| replace(&mut all.tempos, *at, *tempo));
        meters.iter().for_each(|(at, meter)| replace(&mut all.meters, *at, *meter));
        all.passed = passed(&all.tempos);
        all
    }

    fn add(&mut self, track: Vec<TrackEvent<'static>>) {
        // PANIC: the same bytes were parsed when the song was read.
        let mut smf = Smf::parse(&self.bytes).expect("parsed before");
        smf.header = Header::new(Format::Parallel, smf.header.timing);
        smf.tracks.push(track);
        self.bytes = written(&smf);
    }

    /// The song with the notes alone of which `stays` says so: by track from 0, onset in ticks, channel and key.
    /// What is said to channels without notes goes too.
    pub fn only(
        &self,
        path: &Path,
        mut stays: impl FnMut(usize, u64, u8, u8) -> bool,
    ) -> Result<Self, SongError> {
        // PANIC: the same bytes were parsed when the song was read.
        let mut smf = Smf::parse(&self.bytes).expect("parsed before");
        let mut played = [false; 16];
        for (index, track) in smf.tracks.iter_mut().enumerate() {
            cut(track, |tick, channel, key| {
                let stays = stays(index, tick, channel, key);
                played[usize::from(channel & 15)] |= stays;
                stays
            });
        }
        smf.tracks.iter_mut().for_each(|track| silence(track, |channel| played[usize::from(channel & 15)]));
        Self::parse(path, written(&smf))
    }

    /// The song with the tempos and meters that `other` has from `from` on, from `at` on.
    pub fn turning(&self, path: &Path, at: Beats, other: &Self, from: Beats) -> Result<Self, SongError> {
        // PANIC: the same bytes were parsed when the song was read.
        let mut smf = Smf::parse(&self.bytes).expect("parsed before");
        let division = f64::from(self.division);
        let tick = |there: Beats| ticks(there - from + at, division);
        let mut changes =
            vec![(tick(from), tempo(other.tempo(from))), (tick(from), meter(other.meter(from).1))];
        let tempos = other.tempos.iter().map(|&(there, bpm)| (there, tempo(bpm)));
        let meters = other.meters.iter().map(|&(there, kind)| (there, meter(kind)));
        let later = tempos.chain(meters).filter(|(there, _)| there.0 > from.0 + 1e-9);
        changes.extend(later.map(|(there, change)| (tick(there), change)));
        smf.header = Header::new(Format::Parallel, smf.header.timing);
        if smf.tracks.is_empty() {
            smf.tracks.push(Vec::new());
        }
        for (index, track) in smf.tracks.iter_mut().enumerate() {
            conduct(track, tick(from), if index == 0 { &changes } else { &[] });
        }
        Self::parse(path, written(&smf))
    }

    /// The song with each track changed, and the notes that stay.
    fn changed(
        &self,
        change: impl Fn(&mut midly::Track<'_>, &dyn Fn(Beats) -> u64),
        stays: impl Fn(&Note, &dyn Fn(Beats) -> u64) -> bool,
    ) -> Self {
        // PANIC: the same bytes were parsed when the song was read.
        let mut smf = Smf::parse(&self.bytes).expect("parsed before");
        let tick = |at: Beats| u64::from(ticks(at, f64::from(self.division)));
        smf.tracks.iter_mut().for_each(|track| change(track, &tick));
        let mut all = self.clone();
        all.notes.retain(|note| stays(note, &tick));
        Self { bytes: written(&smf), ..all }
    }

    /// The file as it came, with `answer` in tracks of their own, one for each instrument and channel. It lasts until
    /// `until` at least.
    pub fn with_answer(&self, answer: &[Note], until: Option<Beats>) -> Vec<u8> {
        // PANIC: the same bytes were parsed when the song was read.
        let mut smf = Smf::parse(&self.bytes).expect("parsed before");
        smf.header = Header::new(Format::Parallel, smf.header.timing);
        let mut parts: Vec<(Instrument, Channel)> =
            answer.iter().map(|note| (note.instrument, note.channel)).collect();
        parts.sort_unstable();
        parts.dedup();
        for (instrument, channel) in parts {
            let own = |note: &&Note| (note.instrument, note.channel) == (instrument, channel);
            let part: Vec<Note> = answer.iter().filter(own).copied().collect();
            smf.tracks.push(track(&part, instrument, f64::from(self.division)));
        }
        if let Some(until) = until {
            smf.tracks.push(vec![meta(ticks(until, f64::from(self.division)), MetaMessage::EndOfTrack)]);
        }
        written(&smf)
    }
}

/// Whether a header says so. The parser negates the rate that stands there, which for one of them overflows.
fn counts_frames(mut bytes: &[u8]) -> bool {
    while let Some((&[a, b, c, d, size @ ..], rest)) = bytes.split_first_chunk::<8>() {
        let size = usize::try_from(u32::from_be_bytes(size)).unwrap_or(usize::MAX).min(rest.len());
        let (chunk, next) = rest.split_at(size);
        if [a, b, c, d] == *b"MThd" && chunk.get(4).is_some_and(|byte| *byte >= 0x80) {
            return true;
        }
        bytes = next;
    }
    false
}

fn written(smf: &Smf<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    // PANIC: writing to a Vec cannot fail.
    smf.write_std(&mut bytes).expect("a Vec grows");
    bytes
}

/// The last change at or before `at`, and where it is; the first is at 0.
fn before<T: Copy>(changes: &[(Beats, T)], at: Beats) -> (Beats, T) {
    let after = changes.partition_point(|(from, _)| from.0 <= at.0 + 1e-9);
    // PANIC: the reader puts an entry at 0 into every list.
    changes[after.saturating_sub(1)]
}

/// Seconds that have passed at each change of tempo.
fn passed(tempos: &[(Beats, Bpm)]) -> Vec<f64> {
    let mut all = vec![0.0; tempos.len()];
    for (index, pair) in tempos.windows(2).enumerate() {
        all[index + 1] = all[index] + (pair[1].0.0 - pair[0].0.0) * 60.0 / pair[0].1.0;
    }
    all
}

/// All events of all tracks by absolute tick; equal ticks in track order.
fn merged<'a>(smf: &Smf<'a>) -> Vec<(u64, TrackEventKind<'a>)> {
    let mut events = Vec::new();
    for track in &smf.tracks {
        let mut tick = 0_u64;
        for event in track {
            tick += u64::from(event.delta.as_int());
            events.push((tick, event.kind));
        }
    }
    events.sort_by_key(|&(tick, _)| tick);
    events
}

/// Gathers notes, tempos and meters from events in time order.
struct Reader {
    division: f64,
    programs: [u8; 16],
    held: HashMap<(u8, u8), Vec<(Beats, u8, Instrument)>>,
    notes: Vec<Note>,
    tempos: Vec<(Beats, Bpm)>,
    meters: Vec<(Beats, Meter)>,
    last: Beats,
}

impl Reader {
    fn new(division: f64) -> Self {
        Self {
            division,
            programs: [0; 16],
            held: HashMap::new(),
            notes: Vec::new(),
            tempos: vec![(Beats(0.0), Bpm(120.0))],
            meters: vec![(Beats(0.0), Meter::COMMON)],
            last: Beats(0.0),
        }
    }

    fn take(&mut self, tick: u64, event: TrackEventKind<'_>) {
        #[allow(clippy::cast_precision_loss)] // ticks stay far below 2^53
        let at = Beats(tick as f64 / self.division);
        self.last = at;
        match event {
            TrackEventKind::Midi { channel, message } => self.midi(at, channel.as_int(), message),
            TrackEventKind::Meta(MetaMessage::Tempo(micros)) if micros.as_int() > 0 => {
                replace(&mut self.tempos, at, Bpm(60_000_000.0 / f64::from(micros.as_int())));
            }
            TrackEventKind::Meta(MetaMessage::TimeSignature(numerator, power, _, _))
                if numerator > 0 && power <= 5 =>
            {
                replace(&mut self.meters, at, Meter { numerator, denominator: 1 << power });
            }
            _ => {}
        }
    }

    fn midi(&mut self, at: Beats, channel: u8, message: MidiMessage) {
        match message {
            MidiMessage::ProgramChange { program } => {
                if let Some(slot) = self.programs.get_mut(usize::from(channel)) {
                    *slot = program.as_int();
                }
            }
            MidiMessage::NoteOn { key, vel } if vel.as_int() > 0 => {
                let program = self.programs.get(usize::from(channel)).copied().unwrap_or(0);
                let instrument = if channel == 9 { Instrument::DRUMS } else { Instrument(program) };
                self.held.entry((channel, key.as_int())).or_default().push((at, vel.as_int(), instrument));
            }
            MidiMessage::NoteOn { key, .. } | MidiMessage::NoteOff { key, .. } => {
                if let Some(held) = self.held.get_mut(&(channel, key.as_int()))
                    && !held.is_empty()
                {
                    let (from, velocity, instrument) = held.remove(0);
                    self.notes.push(note(from, at, (channel, key.as_int()), velocity, instrument));
                }
            }
            _ => {}
        }
    }

    #[allow(clippy::type_complexity)]
    fn finish(mut self) -> (Vec<Note>, Vec<(Beats, Bpm)>, Vec<(Beats, Meter)>) {
        for ((channel, key), held) in std::mem::take(&mut self.held) {
            for (from, velocity, instrument) in held {
                self.notes.push(note(from, self.last, (channel, key), velocity, instrument));
            }
        }
        self.notes.sort_by(|a, b| {
            a.at.0.total_cmp(&b.at.0).then(a.instrument.cmp(&b.instrument)).then(a.key.cmp(&b.key))
        });
        (self.notes, self.tempos, self.meters)
    }
}

fn note(from: Beats, to: Beats, (channel, key): (u8, u8), velocity: u8, instrument: Instrument) -> Note {
    Note {
        at: from,
        len: Beats((to.0 - from.0).max(1.0 / 96.0)),
        key: Key(key),
        velocity: Velocity(velocity),
        instrument,
        channel: Channel(channel),
    }
}

fn replace<T>(changes: &mut Vec<(Beats, T)>, at: Beats, value: T) {
    while changes.last().is_some_and(|(from, _)| from.0 >= at.0) {
        changes.pop();
    }
    changes.push((at, value));
}

/// A track that holds `notes`, all of one instrument; offs come before ons at the same tick.
fn track(notes: &[Note], instrument: Instrument, division: f64) -> Vec<TrackEvent<'static>> {
    let channel = notes.first().map_or(0, |note| note.channel.0 & 15);
    let mut events: Vec<(u32, u8, MidiMessage)> = Vec::new();
    for note in notes {
        let on = ticks(note.at, division);
        let off = ticks(note.at + note.len, division).max(on + 1);
        let (key, vel) = ((note.key.0 & 127).into(), note.velocity.0.clamp(1, 127).into());
        events.push((on, 1, MidiMessage::NoteOn { key, vel }));
        events.push((off, 0, MidiMessage::NoteOff { key, vel: 0.into() }));
    }
    events.sort_by_key(|&(tick, rank, _)| (tick, rank));
    let mut track = vec![meta(0, MetaMessage::TrackName(b"Continuo"))];
    if !instrument.is_drums() {
        let program = (instrument.0 & 127).into();
        track.push(midi(0, channel, MidiMessage::ProgramChange { program }));
    }
    let mut now = 0;
    for (tick, _, message) in events {
        track.push(midi(tick - now, channel, message));
        now = tick;
    }
    track.push(meta(0, MetaMessage::EndOfTrack));
    track
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped to what a MIDI file can say
fn ticks(at: Beats, division: f64) -> u32 {
    (at.0 * division).round().clamp(0.0, MOST_TICKS - 1.0) as u32
}

fn midi(delta: u32, channel: u8, message: MidiMessage) -> TrackEvent<'static> {
    TrackEvent { delta: delta.into(), kind: TrackEventKind::Midi { channel: channel.into(), message } }
}

fn meta(delta: u32, message: MetaMessage<'static>) -> TrackEvent<'static> {
    TrackEvent { delta: delta.into(), kind: TrackEventKind::Meta(message) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use continuo_inference::compound::Compound;

    #[test]
    fn a_release_behind_the_bar_line_costs_no_bar() {
        let next = |onset, duration| {
            let note = Compound { onset, duration, key: 60, instrument: 0, velocity: 80 };
            Song::parse(Path::new("made"), to_score(&[note], Bpm(120.0), Meter::COMMON).unwrap()).unwrap()
        };
        assert_eq!(next(1800, 120).next_bar(), Beats(4.0));
        assert_eq!(next(1800, 150).next_bar(), Beats(4.0), "30 ticks late");
        assert_eq!(next(1800, 240).next_bar(), Beats(8.0), "a quarter of a beat is meant");
        assert_eq!(next(1919, 20).next_bar(), Beats(4.0), "a tick before the line");
        assert_eq!(next(1920, 20).next_bar(), Beats(8.0), "what begins there is there");
    }
}
