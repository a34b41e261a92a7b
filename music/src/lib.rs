//! Musical judgement, pure: no I/O, no threads, no model.
//!
//! - [`history`] what was heard, in beats
//! - [`phrase`] where a phrase ends
//! - [`frame`] beats and ticks of a model
//! - [`expression`] velocity of an answer, [`feel`] swing and groove, [`groove`] where notes may begin
//! - [`key`] the key of some notes, [`chord`] what sounds together
//! - [`analysis`] form, figures, harmony and rhythm of a piece

pub mod analysis;
pub mod chord;
pub mod expression;
pub mod feel;
pub mod frame;
pub mod groove;
pub mod history;
pub mod key;
pub mod phrase;
