//! `continuo accompany`: other instruments play along with a file.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, value_parser};
use continuo_inference::tasks;
use serde_json::Value;

use crate::part::Part;
use crate::placing::Placing;
use crate::playing::{self, Playing};
use crate::song::Song;

/// Arguments of `continuo accompany`.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  continuo accompany tune.mid -o band.mid --instruments 32,128              bass and drums to a tune\n  continuo accompany song.mid -o new.mid --melody track=2 --instruments 48  strings to one of its tracks\nPrograms: 0 piano, 16 organ, 24 guitar, 32 bass, 40 violin, 48 strings, 56 trumpet, 65 saxophone, 73 flute, 128 drums."
)]
pub struct Accompany {
    /// The MIDI file with the melody, which stays as it is.
    input: PathBuf,
    /// The part that is the melody, if it is not the whole file: a General MIDI program (0), channel=1 or
    /// track=2. Other parts are left out of the result.
    #[arg(long, value_name = "PART")]
    melody: Option<Part>,
    /// Who plays along: General MIDI programs from 0, 128 for drums; separated by commas.
    #[arg(long, value_delimiter = ',', default_value = "32", value_parser = value_parser!(u8).range(0..=128))]
    instruments: Vec<u8>,
    #[command(flatten)]
    playing: Playing,
}

impl Accompany {
    /// Runs the command.
    pub fn run(&self) -> Result<Value> {
        let player = self.playing.player()?;
        let whole = Song::read(&self.input)?;
        let song = match self.melody {
            Some(part) => whole.part(&self.input, part)?,
            None => whole,
        };
        let end = song.next_bar();
        let origin = song.bar_before(song.notes.first().map_or(end, |note| note.at));
        let frame = playing::frame(player.frame(), &song, origin, origin);
        let melody = frame.events(&song.notes);
        let instruments = self.instruments.clone();
        let prompt = tasks::accompany(melody, instruments, frame.tick(end), self.playing.sampling());
        let answer =
            self.playing.play(&player, prompt, &Placing::new(&song, frame, end, &self.instruments))?;
        self.playing.finish(&song, &answer, &player)
    }
}
