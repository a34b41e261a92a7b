//! The two models that are measured.

use std::sync::Arc;

use anyhow::Result;
use clap::ValueEnum;
use continuo_inference::{Model, Precision};

use crate::made_up;

/// Which model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shape {
    /// The one in the box.
    Default,
    /// The Stanford family's smallest, weights made up.
    Small,
}

impl Shape {
    /// In words.
    pub fn title(self) -> &'static str {
        match self {
            Self::Default => "DEFAULT MODEL",
            Self::Small => made_up::SHAPE,
        }
    }

    /// Its word on a command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Small => "small",
        }
    }

    /// The model.
    pub fn model(self, precision: Precision) -> Result<Arc<Model>> {
        Ok(match self {
            Self::Default => Model::from_compact_as(continuo_models::DEFAULT, precision)?,
            Self::Small => Model::load_as(&made_up::folder()?, precision)?,
        })
    }
}
