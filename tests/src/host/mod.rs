//! An in-process CLAP host: the linked plugin, or a bundle on disk.

mod notes;
mod play;
mod plugin;
mod score;
mod song;

pub use notes::{Pitched, paired};
pub use play::{Raw, Recording, Sound};
pub use plugin::{Hosted, Source};
pub use score::{Played, parse, spell};
pub use song::{Act, Song, Stand, Untold};
