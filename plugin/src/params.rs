//! The parameters. Ids are stable: a project saved today opens with every later version.

use std::sync::Arc;

use continuo_timeline::{self as timeline, Channel, Instrument, Key};
use nice_plug::prelude::*;

use crate::programs;
use crate::state::{Persisted, TakeStore};

/// Where generated notes come from.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The model answers what is played.
    #[id = "live"]
    #[name = "Live"]
    Live,
    /// The newest unmuted take plays at its place in the song; input never triggers an answer.
    #[id = "takes"]
    #[name = "Takes"]
    Takes,
}

/// See [`timeline::Mode`].
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Mode {
    #[id = "off"]
    #[name = "Off"]
    Off,
    #[id = "respond"]
    #[name = "Respond"]
    Respond,
    #[id = "hold"]
    #[name = "Hold"]
    Hold,
    #[id = "duet"]
    #[name = "Duet"]
    Duet,
    #[id = "accompany"]
    #[name = "Accompany"]
    Accompany,
}

/// See [`timeline::Trigger`].
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Trigger {
    #[id = "automatic"]
    #[name = "Automatic"]
    Automatic,
    #[id = "bar-line"]
    #[name = "Bar line"]
    BarLine,
    #[id = "bars"]
    #[name = "Every N bars"]
    Bars,
    #[id = "pedal"]
    #[name = "Pedal"]
    Pedal,
    #[id = "key"]
    #[name = "Key"]
    Key,
    #[id = "parameter"]
    #[name = "Answer now"]
    Parameter,
}

/// See [`timeline::Quantise`].
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Quantise {
    #[id = "none"]
    #[name = "None"]
    None,
    #[id = "beat"]
    #[name = "Beat"]
    Beat,
    #[id = "bar"]
    #[name = "Bar"]
    Bar,
    #[id = "two-bars"]
    #[name = "2 bars"]
    TwoBars,
    #[id = "four-bars"]
    #[name = "4 bars"]
    FourBars,
}

/// What leaves through MIDI out.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum MidiOut {
    #[id = "off"]
    #[name = "Off"]
    Off,
    #[id = "answer"]
    #[name = "Answer"]
    Answer,
    #[id = "all"]
    #[name = "All"]
    All,
}

/// See [`timeline::Grid`].
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Grid {
    #[id = "as-played"]
    #[name = "As played"]
    AsPlayed,
    #[id = "free"]
    #[name = "Free"]
    Free,
    #[id = "straight"]
    #[name = "Sixteenths"]
    Straight,
    #[id = "triplets"]
    #[name = "Triplets"]
    Triplets,
}

/// When the metronome is heard.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clicks {
    /// Never.
    #[id = "off"]
    #[name = "Off"]
    Off,
    /// For a bar after the transport starts.
    #[id = "count-in"]
    #[name = "Count-in"]
    CountIn,
    /// On every beat.
    #[id = "on"]
    #[name = "On"]
    On,
}

/// When an answer gives way to the player.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Yield {
    #[id = "at-once"]
    #[name = "At once"]
    AtOnce,
    #[id = "next-beat"]
    #[name = "Next beat"]
    NextBeat,
}

/// All of them.
#[derive(Params)]
#[allow(missing_docs)]
pub struct ContinuoParams {
    #[persist = "takes"]
    pub takes: Persisted,
    #[id = "source"]
    pub source: EnumParam<Source>,
    #[id = "mode"]
    pub mode: EnumParam<Mode>,
    #[id = "trigger"]
    pub trigger: EnumParam<Trigger>,
    #[id = "trigger-bars"]
    pub trigger_bars: IntParam,
    #[id = "trigger-key"]
    pub trigger_key: IntParam,
    #[id = "answer-now"]
    pub answer_now: BoolParam,
    #[id = "answer-again"]
    pub answer_again: BoolParam,
    #[id = "keep-that"]
    pub keep_that: BoolParam,
    #[id = "length"]
    pub length: IntParam,
    #[id = "temperature"]
    pub temperature: FloatParam,
    #[id = "top-p"]
    pub top_p: FloatParam,
    #[id = "density"]
    pub density: FloatParam,
    #[id = "grid"]
    pub grid: EnumParam<Grid>,
    #[id = "lowest"]
    pub lowest: IntParam,
    #[id = "highest"]
    pub highest: IntParam,
    #[id = "in-key"]
    pub in_key: BoolParam,
    #[id = "together"]
    pub together: IntParam,
    #[id = "player"]
    pub player: IntParam,
    #[id = "answer-instrument"]
    pub answer_instrument: IntParam,
    #[id = "channel"]
    pub channel: IntParam,
    #[id = "sound"]
    pub sound: BoolParam,
    #[id = "level"]
    pub level: FloatParam,
    #[id = "midi-out"]
    pub midi_out: EnumParam<MidiOut>,
    #[id = "thru"]
    pub thru: BoolParam,
    #[id = "quantise"]
    pub quantise: EnumParam<Quantise>,
    #[id = "yield"]
    pub gives_way: EnumParam<Yield>,
    #[id = "tempo"]
    pub tempo: FloatParam,
    #[id = "metronome"]
    pub metronome: EnumParam<Clicks>,
    #[id = "tap"]
    pub tap: BoolParam,
    #[id = "seed"]
    pub seed: IntParam,
    #[id = "panic"]
    pub panic: BoolParam,
    #[id = "bypass"]
    pub bypass: BoolParam,
}

impl ContinuoParams {
    /// With defaults, over these takes.
    pub fn new(takes: Arc<TakeStore>) -> Self {
        let button = |name: &str| BoolParam::new(name, false);
        Self {
            takes: Persisted(takes),
            source: EnumParam::new("Source", Source::Live),
            mode: EnumParam::new("Mode", Mode::Respond),
            trigger: EnumParam::new("Trigger", Trigger::Automatic),
            trigger_bars: int("Trigger bars", 2, 1, 16).with_unit(" bars"),
            trigger_key: key("Trigger key", 36),
            answer_now: button("Answer now"),
            answer_again: button("Answer again"),
            keep_that: button("Keep that"),
            length: int("Length", 4, 1, 16).with_unit(" bars"),
            temperature: float("Temperature", 0.9, 0.01, 2.0, 2),
            top_p: float("Top-p", 0.95, 0.0, 1.0, 2),
            density: FloatParam::new(
                "Density",
                1.0,
                FloatRange::Skewed { min: 0.25, max: 4.0, factor: FloatRange::skew_factor(-1.0) },
            )
            .with_value_to_string(formatters::v2s_f32_rounded(2)),
            grid: EnumParam::new("Grid", Grid::AsPlayed),
            lowest: key("Lowest key", 0),
            highest: key("Highest key", 127),
            in_key: BoolParam::new("Stay in key", true),
            together: int("Notes together", 6, 1, 12),
            player: program(int("Player's instrument", 0, 0, 128)),
            answer_instrument: program(int("Answer instrument", -1, -1, 128)),
            channel: int("Answer channel", 1, 1, 16),
            sound: BoolParam::new("Sound", true),
            level: float("Sound level", -6.0, -60.0, 6.0, 1).with_unit(" dB"),
            midi_out: EnumParam::new("MIDI out", MidiOut::All),
            thru: BoolParam::new("Thru", true),
            quantise: EnumParam::new("Launch quantise", Quantise::None),
            gives_way: EnumParam::new("Yield", Yield::AtOnce),
            tempo: float("Internal tempo", 120.0, 20.0, 300.0, 1).with_unit(" BPM"),
            metronome: EnumParam::new("Metronome", Clicks::Off),
            tap: button("Tap"),
            seed: int("Seed", 1, 0, 9999),
            panic: button("Panic"),
            bypass: BoolParam::new("Bypass", false).make_bypass(),
        }
    }

    /// What the worker needs of them. Realtime: yes.
    pub fn settings(&self) -> timeline::Settings {
        timeline::Settings {
            mode: self.mode_now(),
            trigger: match self.trigger.value() {
                Trigger::Automatic => timeline::Trigger::Automatic,
                Trigger::BarLine => timeline::Trigger::BarLine,
                Trigger::Bars => timeline::Trigger::Bars,
                Trigger::Pedal => timeline::Trigger::Pedal,
                Trigger::Key => timeline::Trigger::Key,
                Trigger::Parameter => timeline::Trigger::Parameter,
            },
            trigger_bars: byte(&self.trigger_bars),
            trigger_key: Key(byte(&self.trigger_key)),
            bars: byte(&self.length),
            quantise: match self.quantise.value() {
                Quantise::None => timeline::Quantise::None,
                Quantise::Beat => timeline::Quantise::Beat,
                Quantise::Bar => timeline::Quantise::Bar,
                Quantise::TwoBars => timeline::Quantise::TwoBars,
                Quantise::FourBars => timeline::Quantise::FourBars,
            },
            temperature: self.temperature.value(),
            top_p: self.top_p.value(),
            density: self.density.value(),
            grid: match self.grid.value() {
                Grid::AsPlayed => timeline::Grid::AsPlayed,
                Grid::Free => timeline::Grid::Free,
                Grid::Straight => timeline::Grid::Straight,
                Grid::Triplets => timeline::Grid::Triplets,
            },
            range: (Key(byte(&self.lowest)), Key(byte(&self.highest))),
            in_key: self.in_key.value(),
            together: byte(&self.together),
            player: Instrument(byte(&self.player)),
            answer: u8::try_from(self.answer_instrument.value()).ok().map(Instrument),
            channel: Channel(byte(&self.channel).saturating_sub(1).min(15)),
            seed: u32::try_from(self.seed.value()).unwrap_or(0),
        }
    }

    fn mode_now(&self) -> timeline::Mode {
        let recalled = self.source.value() == Source::Takes;
        match self.mode.value() {
            _ if self.bypass.value() => timeline::Mode::Off,
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
        if self.bypass.value() { Clicks::Off } else { self.metronome.value() }
    }

    /// Momentary parameters in the order of [`PRESSES`], as they stand. Realtime: yes.
    pub fn buttons(&self) -> [bool; 5] {
        [&self.answer_now, &self.answer_again, &self.keep_that, &self.tap, &self.panic]
            .map(|button| button.value())
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

fn key(name: &str, default: i32) -> IntParam {
    int(name, default, 0, 127)
        .with_value_to_string(Arc::new(key_name))
        .with_string_to_value(Arc::new(key_number))
}

fn byte(param: &IntParam) -> u8 {
    u8::try_from(param.value()).unwrap_or(0)
}

fn int(name: &str, default: i32, min: i32, max: i32) -> IntParam {
    IntParam::new(name, default, IntRange::Linear { min, max })
}

fn float(name: &str, default: f32, min: f32, max: f32, digits: usize) -> FloatParam {
    FloatParam::new(name, default, FloatRange::Linear { min, max })
        .with_value_to_string(formatters::v2s_f32_rounded(digits))
}

fn program(param: IntParam) -> IntParam {
    param
        .with_value_to_string(Arc::new(|number| match number {
            -1 => "As the player".into(),
            number => programs::name(number).into(),
        }))
        .with_string_to_value(Arc::new(|text| match text.trim() {
            text if text.eq_ignore_ascii_case("as the player") => Some(-1),
            text => programs::number(text),
        }))
}

const KEYS: [&str; 12] = ["C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B"];

/// 60 is C4.
fn key_name(key: i32) -> String {
    let name =
        usize::try_from(key.rem_euclid(12)).ok().and_then(|index| KEYS.get(index)).copied().unwrap_or("");
    format!("{name}{}", key.div_euclid(12) - 1)
}

fn key_number(text: &str) -> Option<i32> {
    let text = text.trim();
    text.parse().ok().or_else(|| (0..128).find(|&key| key_name(key).eq_ignore_ascii_case(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_read_back() {
        for key in 0..128 {
            assert_eq!(key_number(&key_name(key)), Some(key));
        }
        assert_eq!(key_name(60), "C4");
        for program in 0..129 {
            assert_eq!(programs::number(programs::name(program)), Some(program));
        }
    }
}
