//! Gates for the model: does it continue music better than chance does?
//!
//! ```text
//! prompts (8 bars) ─▶ answers (model, untrained, shuffled) ─▶ figures ─▶ judge (intervals, verdict)
//! ```

mod answers;
mod figures;
mod judge;
mod prompts;
mod untrained;

pub use answers::{BARS, TICKS, answers, dealt, events, shuffled};
pub use figures::{Figures, notes, of};
pub use judge::{Interval, Verdict, interval, judge, mean};
pub use prompts::{Made, STYLES, continued, made, prompts};
pub use untrained::untrained;
