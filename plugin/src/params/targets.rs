//! The parameters that a key or a controller may move.

use nice_plug::context::gui::ParamSetter;
use nice_plug::prelude::Param;

use super::ContinuoParams;

/// How a parameter answers to a control.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Does something when it is pressed.
    Button,
    /// Is on or off.
    Switch,
    /// One of a list.
    Choice,
    /// A number.
    Number,
}

/// A parameter, seen as something that can be turned. Values are shares of its range, 0 to 1.
pub trait Turnable {
    /// Its name.
    fn title(&self) -> &str;
    /// Where it stands for the host. Realtime: yes.
    fn normal(&self) -> f32;
    /// Its steps, if it has some. Realtime: yes.
    fn steps(&self) -> Option<usize>;
    /// The nearest value that it can take. Realtime: yes.
    fn snap(&self, normal: f32) -> f32;
    /// A value in words.
    fn text(&self, normal: f32) -> String;
    /// Sets it through the host, as a gesture.
    fn give(&self, normal: f32, set: &ParamSetter<'_>);
}

impl<P: Param> Turnable for P {
    fn title(&self) -> &str {
        self.name()
    }

    fn normal(&self) -> f32 {
        self.unmodulated_normalized_value()
    }

    fn steps(&self) -> Option<usize> {
        self.step_count()
    }

    fn snap(&self, normal: f32) -> f32 {
        self.preview_normalized(self.preview_plain(normal.clamp(0.0, 1.0)))
    }

    fn text(&self, normal: f32) -> String {
        self.normalized_value_to_string(normal, true)
    }

    fn give(&self, normal: f32, set: &ParamSetter<'_>) {
        set.begin_set_parameter(self);
        set.set_parameter_normalized(self, normal);
        set.end_set_parameter(self);
    }
}

macro_rules! targets {
    ($($name:ident $field:ident $id:literal $kind:ident;)*) => {
        /// A parameter that a key or a controller may move.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs)] // named as the parameters are
        pub enum Target { $($name),* }

        impl Target {
            /// All of them, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The parameter's id.
            pub const fn id(self) -> &'static str {
                match self { $(Self::$name => $id),* }
            }

            /// How it answers to a control.
            pub const fn kind(self) -> Kind {
                match self { $(Self::$name => Kind::$kind),* }
            }
        }

        impl ContinuoParams {
            /// The parameter of a target. Realtime: yes.
            pub fn of(&self, target: Target) -> &dyn Turnable {
                match target { $(Target::$name => &self.$field),* }
            }
        }
    };
}

// New ones go to the end: the parameter "Learn" counts them.
targets! {
    Mode mode "mode" Choice;
    AnswerNow answer_now "answer-now" Button;
    AnswerAgain answer_again "answer-again" Button;
    KeepThat keep_that "keep-that" Button;
    Tap tap "tap" Button;
    Panic panic "panic" Button;
    Mute mute "mute" Switch;
    Bypass bypass "bypass" Switch;
    Source source "source" Choice;
    Trigger trigger "trigger" Choice;
    TriggerBars trigger_bars "trigger-bars" Number;
    Quantise quantise "quantise" Choice;
    Yield gives_way "yield" Choice;
    Length length "length" Number;
    Temperature temperature "temperature" Number;
    TopP top_p "top-p" Number;
    Density density "density" Number;
    Feel feel "feel" Number;
    Grid grid "grid" Choice;
    InKey in_key "in-key" Switch;
    Lowest lowest "lowest" Number;
    Highest highest "highest" Number;
    Together together "together" Number;
    Player player "player" Number;
    AnswerInstrument answer_instrument "answer-instrument" Number;
    Sound sound "sound" Switch;
    Level level "level" Number;
    MidiOut midi_out "midi-out" Choice;
    Thru thru "thru" Switch;
    Metronome metronome "metronome" Choice;
    Tempo tempo "tempo" Number;
    Seed seed "seed" Number;
    HearOthers hear_others "hear-others" Switch;
    LaunchBars launch_bars "launch-bars" Number;
    Instrument2 instrument_2 "instrument-2" Number;
    Instrument3 instrument_3 "instrument-3" Number;
    Instrument4 instrument_4 "instrument-4" Number;
}

impl Target {
    /// The target of a number, in the order of [`Self::ALL`].
    pub fn numbered(number: usize) -> Option<Self> {
        Self::ALL.get(number).copied()
    }

    /// The target whose parameter has this id.
    pub fn named(id: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|target| target.id() == id)
    }

    /// Its place in [`Self::ALL`].
    pub const fn number(self) -> usize {
        self as usize
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use nice_plug::prelude::Params;

    use super::*;

    #[test]
    fn targets_are_the_parameters_that_they_name() {
        let params = ContinuoParams::new(Arc::default(), Arc::default(), Arc::default());
        let map = params.param_map();
        for &target in Target::ALL {
            let (_, pointer, _) = map.iter().find(|(id, ..)| id == target.id()).expect(target.id());
            // SAFETY: the parameters live until the end of this test.
            assert_eq!(unsafe { pointer.name() }, params.of(target).title());
            let steps = params.of(target).steps();
            let told_apart = match target.kind() {
                Kind::Button | Kind::Switch => steps == Some(1),
                Kind::Choice => steps.is_some_and(|steps| (1..8).contains(&steps)),
                Kind::Number => steps.is_none_or(|steps| steps > 7),
            };
            assert!(told_apart, "{target:?} has {steps:?} steps");
            assert_eq!(Target::numbered(target.number()), Some(target));
        }
        // All but "Learn" itself, the trigger's key and the channel.
        assert_eq!(Target::ALL.len() + 3, map.len());
    }
}
