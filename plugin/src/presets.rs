//! Factory presets: ways of playing together, each a handful of parameters. What they do not name stays as it is.

use crate::params::{Quantise, Trigger};

/// A way of playing together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Preset {
    /// Its name.
    pub name: &'static str,
    /// What it is for, in a line.
    pub about: &'static str,
    /// How the end of a phrase is noticed, and bars where it counts them.
    pub trigger: (Trigger, i32),
    /// When answers begin.
    pub quantise: Quantise,
    /// Length of an answer in bars.
    pub bars: i32,
    /// Softmax temperature, nucleus mass, density.
    pub taste: (f32, f32, f32),
}

/// All of them; the first is what a new instance does.
#[rustfmt::skip]
pub const PRESETS: [Preset; 6] = [
    Preset { name: "Conversation", about: "Stop, and it goes on for four bars",
        trigger: (Trigger::Automatic, 2), quantise: Quantise::None, bars: 4, taste: (1.0, 0.95, 1.0) },
    Preset { name: "Trading fours", about: "Four bars each, on the bar line",
        trigger: (Trigger::Bars, 4), quantise: Quantise::Bar, bars: 4, taste: (1.0, 0.95, 1.0) },
    Preset { name: "Echo", about: "A bar of yours, a bar of its own",
        trigger: (Trigger::BarLine, 1), quantise: Quantise::Bar, bars: 1, taste: (0.85, 0.9, 1.0) },
    Preset { name: "On the pedal", about: "Answers when the pedal comes up",
        trigger: (Trigger::Pedal, 2), quantise: Quantise::Beat, bars: 4, taste: (1.0, 0.95, 1.0) },
    Preset { name: "Close to me", about: "Stays near what was played, and leaves room",
        trigger: (Trigger::Automatic, 2), quantise: Quantise::Beat, bars: 2, taste: (0.8, 0.85, 0.7) },
    Preset { name: "Adventurous", about: "Wider choices, more notes, eight bars",
        trigger: (Trigger::Automatic, 2), quantise: Quantise::Beat, bars: 8, taste: (1.15, 0.98, 1.4) },
];

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use nice_plug::prelude::Param;

    use super::PRESETS;
    use crate::params::ContinuoParams;

    #[test]
    fn the_first_is_what_a_new_instance_does() {
        let new = ContinuoParams::new(Arc::default(), Arc::default(), Arc::default());
        let first = PRESETS[0];
        let trigger = (new.trigger.default_plain_value(), new.trigger_bars.default_plain_value());
        assert_eq!(first.trigger, trigger);
        assert_eq!(first.quantise, new.quantise.default_plain_value());
        assert_eq!(first.bars, new.length.default_plain_value());
        let (temperature, top_p) = (new.temperature.default_plain_value(), new.top_p.default_plain_value());
        assert_eq!(first.taste, (temperature, top_p, new.density.default_plain_value()));
    }
}
