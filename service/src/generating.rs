//! `continuo generate`: music from nothing.

use anyhow::Result;
use clap::{Args, value_parser};
use continuo_inference::tasks;
use continuo_timeline::{Beats, Bpm, Meter};
use serde_json::Value;

use crate::placing::Placing;
use crate::playing::{self, Playing};
use crate::song::Song;

/// Arguments of `continuo generate`.
#[derive(Args)]
#[command(
    after_help = "Example, piano, bass and drums:\n  continuo generate -o trio.mid --instruments 0,32,128 --bars 8 --render trio.wav\nPrograms: 0 piano, 16 organ, 24 guitar, 32 bass, 40 violin, 48 strings, 56 trumpet, 65 saxophone, 73 flute, 128 drums."
)]
pub struct Generate {
    /// Who plays: General MIDI programs from 0, 128 for drums; separated by commas.
    #[arg(long, value_delimiter = ',', default_value = "0", value_parser = value_parser!(u8).range(0..=128))]
    instruments: Vec<u8>,
    /// Length in bars of four quarters.
    #[arg(long, default_value_t = 8, value_parser = value_parser!(u16).range(1..=256))]
    bars: u16,
    /// Tempo in quarter notes a minute.
    #[arg(long, default_value_t = 120, value_parser = value_parser!(u16).range(20..=300))]
    tempo: u16,
    #[command(flatten)]
    playing: Playing,
}

impl Generate {
    /// Runs the command.
    pub fn run(&self) -> Result<Value> {
        let player = self.playing.player()?;
        let song = Song::blank(Bpm(f64::from(self.tempo)), Meter::COMMON)?;
        let end = Beats(f64::from(self.bars) * Meter::COMMON.bar().0);
        let frame = playing::frame(player.frame(), &song, Beats(0.0), Beats(0.0));
        let prompt = tasks::generate(self.instruments.clone(), frame.tick(end), self.playing.sampling());
        let answer =
            self.playing.play(&player, prompt, &Placing::new(&song, frame, end, &self.instruments))?;
        self.playing.finish(&song, &answer, &player)
    }
}
