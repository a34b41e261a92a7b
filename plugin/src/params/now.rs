//! What the parameters say at this moment: as they stand for the host, or where a learnt control put them.

use continuo_timeline::{self as timeline, Channel, Instrument, Key};
use nice_plug::prelude::Param;

use super::{Clicks, ContinuoParams, Grid, MidiOut, Mode, Quantise, Source, Target, Trigger, Yield};

impl ContinuoParams {
    /// The value that counts now. Realtime: yes.
    fn now<P: Param>(&self, param: &P, target: Target) -> P::Plain {
        match self.learnt.0.moved(target) {
            Some(normal) => param.preview_plain(normal),
            None => param.modulated_plain_value(),
        }
    }

    /// What the worker needs of them. Realtime: yes.
    pub fn settings(&self) -> timeline::Settings {
        timeline::Settings {
            mode: self.mode_now(),
            trigger: match self.now(&self.trigger, Target::Trigger) {
                Trigger::Automatic => timeline::Trigger::Automatic,
                Trigger::BarLine => timeline::Trigger::BarLine,
                Trigger::Bars => timeline::Trigger::Bars,
                Trigger::Pedal => timeline::Trigger::Pedal,
                Trigger::Key => timeline::Trigger::Key,
                Trigger::Parameter => timeline::Trigger::Parameter,
            },
            trigger_bars: byte(self.now(&self.trigger_bars, Target::TriggerBars)),
            trigger_key: Key(byte(self.trigger_key.value())),
            bars: byte(self.now(&self.length, Target::Length)),
            quantise: match self.now(&self.quantise, Target::Quantise) {
                Quantise::None => timeline::Quantise::None,
                Quantise::Beat => timeline::Quantise::Beat,
                Quantise::Bar => timeline::Quantise::Bar,
                Quantise::TwoBars => timeline::Quantise::TwoBars,
                Quantise::FourBars => timeline::Quantise::FourBars,
                Quantise::LoopStart => timeline::Quantise::LoopStart,
                Quantise::Bars => timeline::Quantise::Bars,
            },
            launch_bars: byte(self.now(&self.launch_bars, Target::LaunchBars)),
            temperature: self.now(&self.temperature, Target::Temperature),
            top_p: self.now(&self.top_p, Target::TopP),
            density: self.now(&self.density, Target::Density),
            grid: match self.now(&self.grid, Target::Grid) {
                Grid::AsPlayed => timeline::Grid::AsPlayed,
                Grid::Free => timeline::Grid::Free,
                Grid::Straight => timeline::Grid::Straight,
                Grid::Triplets => timeline::Grid::Triplets,
            },
            range: (
                Key(byte(self.now(&self.lowest, Target::Lowest))),
                Key(byte(self.now(&self.highest, Target::Highest))),
            ),
            in_key: self.now(&self.in_key, Target::InKey),
            together: byte(self.now(&self.together, Target::Together)),
            player: Instrument(byte(self.now(&self.player, Target::Player))),
            answer: u8::try_from(self.now(&self.answer_instrument, Target::AnswerInstrument))
                .ok()
                .map(Instrument),
            others: [
                self.now(&self.instrument_2, Target::Instrument2),
                self.now(&self.instrument_3, Target::Instrument3),
                self.now(&self.instrument_4, Target::Instrument4),
            ]
            .map(|number| u8::try_from(number).ok().map(Instrument)),
            channel: Channel(byte(self.channel.value()).saturating_sub(1).min(15)),
            feel: self.now(&self.feel, Target::Feel),
            muted: self.muted(),
            hears_others: self.now(&self.hear_others, Target::HearOthers),
            seed: u32::try_from(self.now(&self.seed, Target::Seed)).unwrap_or(0),
        }
    }

    fn mode_now(&self) -> timeline::Mode {
        let recalled = self.recalls();
        match self.now(&self.mode, Target::Mode) {
            _ if self.bypassed() => timeline::Mode::Off,
            Mode::Accompany => timeline::Mode::Accompany,
            _ if recalled => timeline::Mode::Off,
            Mode::Off => timeline::Mode::Off,
            Mode::Respond => timeline::Mode::Respond,
            Mode::Hold => timeline::Mode::Hold,
            Mode::Duet => timeline::Mode::Duet,
        }
    }

    /// When the metronome is heard. Realtime: yes.
    pub fn clicks(&self) -> Clicks {
        if self.bypassed() { Clicks::Off } else { self.now(&self.metronome, Target::Metronome) }
    }

    /// Whether only what is played goes on. Realtime: yes.
    pub fn bypassed(&self) -> bool {
        self.now(&self.bypass, Target::Bypass)
    }

    /// Whether generated notes are neither heard nor sent. Realtime: yes.
    pub fn muted(&self) -> bool {
        self.now(&self.mute, Target::Mute)
    }

    /// Whether takes play at their place. Realtime: yes.
    pub fn recalls(&self) -> bool {
        self.now(&self.source, Target::Source) == Source::Takes
    }

    /// What leaves through MIDI out. Realtime: yes.
    pub fn sent(&self) -> MidiOut {
        self.now(&self.midi_out, Target::MidiOut)
    }

    /// Whether what is played is heard and goes on. Realtime: yes.
    pub fn passes(&self) -> bool {
        self.now(&self.thru, Target::Thru)
    }

    /// When an answer gives way. Realtime: yes.
    pub fn yields(&self) -> Yield {
        self.now(&self.gives_way, Target::Yield)
    }

    /// The internal clock's tempo in beats a minute. Realtime: yes.
    pub fn internal_tempo(&self) -> f64 {
        f64::from(self.now(&self.tempo, Target::Tempo))
    }

    /// Gain of the built-in sound; 0 when it is off. Realtime: yes.
    pub fn gain(&self) -> f32 {
        let audible = self.now(&self.sound, Target::Sound) && !self.bypassed();
        if audible { 10.0_f32.powf(self.now(&self.level, Target::Level) / 20.0) } else { 0.0 }
    }

    /// Momentary parameters in the order of [`PRESSES`], as they stand. Realtime: yes.
    pub fn buttons(&self) -> [bool; 5] {
        [&self.answer_now, &self.answer_again, &self.keep_that, &self.tap, &self.panic]
            .map(|button| button.value())
    }
}

impl ContinuoParams {
    /// The place of a target in [`PRESSES`], if it is a button. Realtime: yes.
    pub fn button_of(target: Target) -> Option<usize> {
        match target {
            Target::AnswerNow => Some(0),
            Target::AnswerAgain => Some(1),
            Target::KeepThat => Some(2),
            Target::Tap => Some(3),
            Target::Panic => Some(4),
            _ => None,
        }
    }
}

/// What each of [`ContinuoParams::buttons`] does.
pub const PRESSES: [timeline::Press; 5] = [
    timeline::Press::Answer,
    timeline::Press::Again,
    timeline::Press::Keep,
    timeline::Press::Tap,
    timeline::Press::Panic,
];

fn byte(value: i32) -> u8 {
    u8::try_from(value).unwrap_or(0)
}
