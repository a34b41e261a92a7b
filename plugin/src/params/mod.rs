//! The parameters. Ids are stable: a project saved today opens with every later version.
//!
//! - [`choices`] what lists hold, [`texts`] how keys are spelt
//! - [`targets`] which parameters a key or a controller may move
//! - [`now`] what the parameters say at this moment

pub mod choices;
pub mod now;
pub mod targets;
pub mod texts;

use std::sync::Arc;

use nice_plug::prelude::*;

pub use choices::{Clicks, Grid, MidiOut, Mode, Quantise, Source, Trigger, Yield};
pub use now::PRESSES;
pub use targets::{Kind, Target, Turnable};

use crate::learnt::Learnt;
use crate::partner::PartnerStore;
use crate::programs;
use crate::state::{Persisted, PersistedControls, PersistedPartner, TakeStore};
use texts::{key_name, key_number};

/// All of them.
#[derive(Params)]
#[allow(missing_docs)]
pub struct ContinuoParams {
    #[persist = "takes"]
    pub takes: Persisted,
    #[persist = "learnt"]
    pub learnt: PersistedControls,
    #[persist = "partner"]
    pub partner: PersistedPartner,
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
    #[id = "mute"]
    pub mute: BoolParam,
    #[id = "feel"]
    pub feel: FloatParam,
    #[id = "hear-others"]
    pub hear_others: BoolParam,
    #[id = "launch-bars"]
    pub launch_bars: IntParam,
    #[id = "instrument-2"]
    pub instrument_2: IntParam,
    #[id = "instrument-3"]
    pub instrument_3: IntParam,
    #[id = "instrument-4"]
    pub instrument_4: IntParam,
    #[id = "learn"]
    pub learn: IntParam,
}

impl ContinuoParams {
    /// With defaults, over these takes, learnt controls and partner.
    pub fn new(takes: Arc<TakeStore>, learnt: Arc<Learnt>, partner: Arc<PartnerStore>) -> Self {
        let button = |name: &str| BoolParam::new(name, false);
        Self {
            takes: Persisted(takes),
            learnt: PersistedControls(learnt),
            partner: PersistedPartner(partner),
            source: EnumParam::new("Source", Source::Live),
            mode: EnumParam::new("Mode", Mode::Respond),
            trigger: EnumParam::new("Trigger", Trigger::Automatic),
            trigger_bars: int("Trigger bars", 2, 1, 16).with_unit(" bars"),
            trigger_key: key("Trigger key", 36),
            answer_now: button("Answer now"),
            answer_again: button("Answer again"),
            keep_that: button("Keep that"),
            length: int("Length", 4, 1, 16).with_unit(" bars"),
            temperature: float("Temperature", 1.0, 0.01, 2.0, 2),
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
            together: int("Notes together", 8, 1, 12),
            player: program(int("Player's instrument", 0, 0, 128), AS_THE_PLAYER),
            answer_instrument: program(int("Answer instrument", -1, -1, 128), AS_THE_PLAYER),
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
            mute: BoolParam::new("Mute answers", false),
            feel: float("Feel", 1.0, 0.0, 1.0, 2),
            hear_others: BoolParam::new("Hear others", false),
            launch_bars: int("Launch bars", 8, 1, 32).with_unit(" bars"),
            instrument_2: program(int("Second instrument", -1, -1, 128), NOBODY),
            instrument_3: program(int("Third instrument", -1, -1, 128), NOBODY),
            instrument_4: program(int("Fourth instrument", -1, -1, 128), NOBODY),
            learn: learn(),
        }
    }
}

fn key(name: &str, default: i32) -> IntParam {
    int(name, default, 0, 127)
        .with_value_to_string(Arc::new(key_name))
        .with_string_to_value(Arc::new(key_number))
}

fn int(name: &str, default: i32, min: i32, max: i32) -> IntParam {
    IntParam::new(name, default, IntRange::Linear { min, max })
}

fn float(name: &str, default: f32, min: f32, max: f32, digits: usize) -> FloatParam {
    FloatParam::new(name, default, FloatRange::Linear { min, max })
        .with_value_to_string(formatters::v2s_f32_rounded(digits))
}

/// What -1 means where an instrument is chosen.
const AS_THE_PLAYER: &str = "As the player";
const NOBODY: &str = "None";

fn program(param: IntParam, without: &'static str) -> IntParam {
    param
        .with_value_to_string(Arc::new(move |number| match number {
            -1 => without.into(),
            number => programs::name(number).into(),
        }))
        .with_string_to_value(Arc::new(move |text| match text.trim() {
            text if text.eq_ignore_ascii_case(without) => Some(-1),
            text => programs::number(text),
        }))
}

/// Which parameter the next key or controller is learnt for: for hosts that show no window.
fn learn() -> IntParam {
    let most = 1 + i32::try_from(Target::ALL.len()).unwrap_or(0);
    int("Learn", 0, 0, most)
        .non_automatable()
        .with_value_to_string(Arc::new(|number| match number {
            FORGET_ALL => "Forget all".into(),
            number => learnable(number).map_or("Off".into(), |target| target.id().replace('-', " ")),
        }))
        .with_string_to_value(Arc::new(|text| {
            let text = text.trim().to_lowercase();
            let named = |target: &Target| target.id().replace('-', " ") == text;
            let found = Target::ALL.iter().position(named).and_then(|number| i32::try_from(number + 2).ok());
            match text.as_str() {
                "off" => Some(0),
                "forget all" => Some(FORGET_ALL),
                text => found.or_else(|| text.parse().ok()),
            }
        }))
}

/// The value of "Learn" that forgets all controls; 0 is off, and the targets follow.
pub const FORGET_ALL: i32 = 1;

/// What a value of "Learn" stands for. Realtime: yes.
pub fn learnable(number: i32) -> Option<Target> {
    usize::try_from(number).ok()?.checked_sub(2).and_then(Target::numbered)
}
