//! The two models that are measured.

use std::sync::Arc;

use anyhow::Result;
use clap::ValueEnum;
use continuo_inference::kernel::{Bits, Kernel};
use continuo_inference::{Model, Precision, Shelf};

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

    /// The model, for the best kernel and so many threads.
    pub fn model(self, threads: usize, bits: Bits) -> Result<Arc<Model>> {
        let precision = Precision::With(Kernel::best(), threads, bits);
        Ok(match self {
            Self::Default => Model::from_compact_as(continuo_models::DEFAULT, precision)?,
            Self::Small => Model::load_from(&made_up::folder()?, precision, &shelf()?)?,
        })
    }
}

/// Where packed weights of the made-up checkpoint are kept: beside it, or where `CONTINUO_CACHE` says.
pub fn shelf() -> Result<Shelf> {
    let own = Shelf::at(&made_up::folder()?.with_file_name("packed"));
    Ok(if std::env::var_os("CONTINUO_CACHE").is_some() { Shelf::usual() } else { own })
}

/// Weights between the embeddings, by the word on a command line.
pub fn bits(word: &str) -> Result<Bits, String> {
    match word {
        "8" => Ok(Bits::Eight),
        "4" => Ok(Bits::Four),
        _ => Err("8 or 4".into()),
    }
}

/// That word.
pub fn word(bits: Bits) -> &'static str {
    match bits {
        Bits::Eight => "8",
        Bits::Four => "4",
    }
}
