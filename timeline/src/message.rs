//! What crosses the border between the audio thread and the worker: small, `Copy`, without a destructor.
//!
//! Positions are on the *line*: a count of quarter notes that follows the tempo, runs on when the host is
//! stopped, and never goes back. A seek starts a new epoch; the line then moves forward to the next point with the
//! same fraction of a beat as the song position, so that grid points of the song are grid points of the line. Around
//! a loop of whole grid steps it runs on, and they still are; a loop of another length is a seek at its wrap.

use crate::units::{Beats, Bpm, Channel, Epoch, Instrument, Key, Meter, Velocity};

/// Grid points in a quarter note: where the worker takes its decisions.
pub const GRID: u32 = 24;

/// A note with a place in time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Note {
    /// Onset on the line.
    pub at: Beats,
    /// Length, more than 0.
    pub len: Beats,
    /// Key.
    pub key: Key,
    /// Velocity, 1 to 127.
    pub velocity: Velocity,
    /// What plays it.
    pub instrument: Instrument,
    /// MIDI channel it goes out on.
    pub channel: Channel,
}

/// Where the music stands: sent at each grid point that passes, and first in each epoch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tick {
    /// The grid point on the line (a multiple of 1/[`GRID`]), or the first point of an epoch.
    pub at: Beats,
    /// Song position of the same moment; the host's while it plays, else the internal clock's.
    pub song: Beats,
    /// A bar line on the line, at or before `at`.
    pub bar: Beats,
    /// Where on the line the host's loop wraps next, and how long it is, if it loops and is inside.
    pub wrap: Option<(Beats, Beats)>,
    /// Time signature.
    pub meter: Meter,
    /// Tempo.
    pub tempo: Bpm,
    /// Whether the host's transport rolls (or the internal one).
    pub playing: bool,
    /// Whether the host says that it renders offline, so that the audio thread waits for the worker.
    pub offline: bool,
    /// The current epoch.
    pub epoch: Epoch,
}

/// From the audio thread to the worker. In time order; `at` is on the line, `epoch` the one it happened in.
#[allow(missing_docs)] // the fields are named for what they are
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ToWorker {
    /// A grid point passed.
    Tick(Tick),
    /// The player struck a key.
    On { at: Beats, key: Key, velocity: Velocity, channel: Channel, epoch: Epoch },
    /// The player let a key go.
    Off { at: Beats, key: Key, channel: Channel, epoch: Epoch },
    /// All keys of a channel come up, or of all where none is named, and their pedal too.
    AllOff { at: Beats, channel: Option<Channel>, epoch: Epoch },
    /// The sustain pedal went down (`true`) or up.
    Pedal { at: Beats, down: bool, epoch: Epoch },
    /// A new epoch begins: everything planned before is void, but for what begins before `heard`, which is heard until then.
    Epoch { at: Beats, heard: Beats, epoch: Epoch, why: Cut },
    /// A momentary parameter was pressed.
    Press { at: Beats, press: Press, epoch: Epoch },
    /// The worker's settings changed (sent before the next tick, so that they apply at a known time).
    Settings(Settings),
    /// A generated note was dropped because it was due before it arrived.
    Late { at: Beats },
}

/// Why an epoch began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The host jumped: a seek, or the wrap of a loop that is not of whole grid steps. Notes played before it stay in the history.
    Seek,
    /// The transport started or stopped.
    Transport,
    /// The player came back in while an answer played.
    Yield,
    /// Panic, bypass, reset, or mode off.
    Silence,
    /// A reset by a host that renders offline: as silence, and nothing was heard, so that what follows is always the same.
    Anew,
    /// A new answer was asked for ("answer again").
    Again,
    /// The audio thread was made anew, for another rate or block size: what sounded ends, what was heard stays.
    Restart,
}

/// Momentary parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Press {
    /// Answer now what was played so far.
    Answer,
    /// Answer the same phrase again, differently.
    Again,
    /// Keep the newest answer as a take.
    Keep,
    /// Tap the tempo of the internal clock.
    Tap,
    /// Silence everything.
    Panic,
}

/// How the end of a phrase is noticed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trigger {
    /// Silence longer than max(1 beat, twice the median inter-onset interval), nothing held, pedal up.
    #[default]
    Automatic,
    /// The next bar line after something was played.
    BarLine,
    /// Every `trigger_bars` bars.
    Bars,
    /// The pedal going up after it was down (the pedal no longer sustains).
    Pedal,
    /// A key (`trigger_key`) that is not heard as a note.
    Key,
    /// Only the "answer now" parameter.
    Parameter,
}

/// What the plugin does with what it hears.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Nothing is generated.
    Off,
    /// Listen to a phrase, then answer it.
    #[default]
    Respond,
    /// The same, and go on until the player comes back in.
    Hold,
    /// Play along with the player, planning a little ahead.
    Duet,
    /// Play around the newest take, which is known beforehand.
    Accompany,
}

/// When an answer may begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Quantise {
    /// As soon as it is there.
    #[default]
    None,
    /// On the next beat of the signature's quarter grid.
    Beat,
    /// On the next bar line.
    Bar,
    /// On the next bar line of an even number of bars from the song's start.
    TwoBars,
    /// The same for four bars.
    FourBars,
    /// The same for `launch_bars` bars.
    Bars,
    /// At the next start of the host's loop; on the next bar line where it does not loop.
    LoopStart,
}

/// Where in a beat an answer's notes may begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Grid {
    /// Sixteenths, triplets or both, as the phrase has them; anywhere if it has neither.
    #[default]
    AsPlayed,
    /// Anywhere.
    Free,
    /// On sixteenths.
    Straight,
    /// On triplets of eighths and sixteenths.
    Triplets,
}

impl Mode {
    /// Whether it plays together with the player, and does not yield.
    pub fn plays_along(self) -> bool {
        matches!(self, Self::Duet | Self::Accompany)
    }
}

/// The parameters that the worker needs, as they stood at a grid point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// What it does with what it hears.
    pub mode: Mode,
    /// How the end of a phrase is noticed.
    pub trigger: Trigger,
    /// Bars between answers for [`Trigger::Bars`], 1 to 16.
    pub trigger_bars: u8,
    /// The key that asks for an answer, for [`Trigger::Key`].
    pub trigger_key: Key,
    /// Length of an answer in bars, 1 to 16.
    pub bars: u8,
    /// When an answer may begin.
    pub quantise: Quantise,
    /// Bars between the lines of [`Quantise::Bars`], 1 to 32.
    pub launch_bars: u8,
    /// Softmax temperature, 0.01 to 2.
    pub temperature: f32,
    /// Nucleus mass, 0 to 1; 0 is greedy.
    pub top_p: f32,
    /// Wanted notes a beat relative to the phrase's own, 0.25 to 4; 1 leaves it to the model.
    pub density: f32,
    /// Where in a beat an answer's notes may begin.
    pub grid: Grid,
    /// Lowest and highest key of answers.
    pub range: (Key, Key),
    /// Whether answers stay in the key of the phrase.
    pub in_key: bool,
    /// Most notes of an answer that begin together.
    pub together: u8,
    /// What the player plays.
    pub player: Instrument,
    /// What answers; `None` means the player's own instrument.
    pub answer: Option<Instrument>,
    /// What answers beside it.
    pub others: [Option<Instrument>; 3],
    /// Channel that answers go out on: each other instrument on the next that is free, drums on 9.
    pub channel: Channel,
    /// How much of the player's swing and groove is put on answers, 0 to 1.
    pub feel: f32,
    /// Whether answers are neither heard nor sent.
    pub muted: bool,
    /// Whether what other instances play is context.
    pub hears_others: bool,
    /// Seed of all random draws.
    pub seed: u32,
}

impl Default for Settings {
    /// What a new instance does.
    fn default() -> Self {
        Self {
            mode: Mode::Respond,
            trigger: Trigger::Automatic,
            trigger_bars: 2,
            trigger_key: Key(36),
            bars: 4,
            quantise: Quantise::None,
            launch_bars: 8,
            temperature: 1.0,
            top_p: 0.95,
            density: 1.0,
            grid: Grid::AsPlayed,
            range: (Key(0), Key(127)),
            in_key: true,
            together: 8,
            player: Instrument(0),
            answer: None,
            others: [None; 3],
            channel: Channel(0),
            feel: 1.0,
            muted: false,
            hears_others: false,
            seed: 1,
        }
    }
}

impl Settings {
    /// All that answers, each once.
    pub fn parts(&self) -> impl Iterator<Item = Instrument> + '_ {
        let first = self.answer.unwrap_or(self.player);
        let all = [Some(first), self.others[0], self.others[1], self.others[2]];
        let is_new = move |(place, one): &(usize, Option<Instrument>)| {
            !all.iter().take(*place).any(|before| before == one)
        };
        all.into_iter().enumerate().filter(is_new).filter_map(|(_, one)| one)
    }

    /// Whether phrases end at bar lines, so that answers begin there.
    pub fn waits_for_bars(&self) -> bool {
        matches!(self.trigger, Trigger::BarLine | Trigger::Bars)
    }

    /// Whether answers are asked for by a key, the pedal or the parameter, and come at no other time.
    pub fn is_asked(&self) -> bool {
        matches!(self.trigger, Trigger::Pedal | Trigger::Key | Trigger::Parameter)
    }

    /// Bars between the lines where answers may begin, if they are counted.
    pub fn counted_bars(&self) -> Option<u8> {
        match self.quantise {
            Quantise::TwoBars => Some(2),
            Quantise::FourBars => Some(4),
            Quantise::Bars => Some(self.launch_bars.max(1)),
            _ => None,
        }
    }

    /// The channel that one of [`Self::parts`] goes out on.
    pub fn channel_of(&self, part: Instrument) -> Channel {
        if part.is_drums() {
            return Channel(9);
        }
        let melodic = self.parts().filter(|part| !part.is_drums());
        let place = melodic.take_while(|one| *one != part).count();
        if place == 0 {
            return self.channel;
        }
        let free = (1..16).map(|step| Channel((self.channel.0 + step) & 15)).filter(|one| one.0 != 9);
        free.take(place).last().unwrap_or(self.channel)
    }
}

/// From the worker to the audio thread; positions are on the line.
#[allow(missing_docs)] // the fields are named for what they are
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FromWorker {
    /// A note to play, unless its epoch is over.
    Planned { note: Note, epoch: Epoch },
    /// The answer of this epoch, asked for at `asked`, ends at `end` (line): a player who comes in between makes
    /// it yield, before its first note or after.
    AnswerEnds { asked: Beats, end: Beats, epoch: Epoch },
    /// What is planned from here on is void; another plan follows in the same epoch.
    Replan { from: Beats, epoch: Epoch },
    /// First message of a new table of take notes (source = Takes); the notes follow, then `TakeEnd`.
    TakeBegin,
    /// A note of the take; `at` is a song position.
    TakeNote(Note),
    /// The table is complete and replaces the one before.
    TakeEnd,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_instrument_has_a_channel_of_its_own() {
        let others = [Some(Instrument(32)), Some(Instrument::DRUMS), Some(Instrument(48))];
        let settings = Settings { others, channel: Channel(7), ..Settings::default() };
        let places: std::vec::Vec<_> =
            settings.parts().map(|part| (part.0, settings.channel_of(part).0)).collect();
        assert_eq!(places, [(0, 7), (32, 8), (128, 9), (48, 10)]);
        // The same twice is one, and what is last goes round.
        let others = [Some(Instrument(0)), Some(Instrument(40)), None];
        let settings = Settings { others, channel: Channel(15), ..settings };
        assert_eq!(settings.parts().count(), 2);
        assert_eq!(settings.channel_of(Instrument(40)), Channel(0));
    }
}

const _: () = assert!(!core::mem::needs_drop::<ToWorker>());
const _: () = assert!(!core::mem::needs_drop::<FromWorker>());
