//! `continuo vary`: some bars of a file anew; what is before and after them is known to the model.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{Args, value_parser};
use continuo_inference::tasks;
use continuo_timeline::{Beats, Note};
use serde_json::Value;

use crate::placing::Placing;
use crate::playing::{self, Playing};
use crate::song::Song;

/// Arguments of `continuo vary`.
#[derive(Args)]
#[command(
    after_help = "Example, bars 5 and 6 anew, by the instruments that play there:\n  continuo vary song.mid -o other.mid --from 5 --bars 2 --seed 3"
)]
pub struct Vary {
    /// The MIDI file.
    input: PathBuf,
    /// The first bar to play anew, counted from 1.
    #[arg(long, value_parser = value_parser!(u16).range(1..))]
    from: u16,
    /// How many bars.
    #[arg(long, default_value_t = 1, value_parser = value_parser!(u16).range(1..=64))]
    bars: u16,
    #[command(flatten)]
    playing: Playing,
}

impl Vary {
    /// Runs the command.
    pub fn run(&self) -> Result<Value> {
        let player = self.playing.player()?;
        let song = Song::read(&self.input)?;
        let (start, end) = (bar(&song, self.from - 1), bar(&song, self.from - 1 + self.bars));
        let inside = |note: &Note| (start.0 - 1e-9..end.0 - 1e-9).contains(&note.at.0);
        if !song.notes.iter().any(inside) {
            bail!("{} has no notes in the bars asked for; --from counts from 1", self.input.display());
        }
        let first = song.bar_before(song.notes.first().map_or(start, |note| note.at));
        let origin = Beats(first.0.max(bar(&song, self.from.saturating_sub(17)).0));
        let frame = playing::frame(player.frame(), &song, origin, start);
        let span = (frame.tick(start), frame.tick(end));
        let prompt = tasks::vary(&frame.events(&song.notes), span, self.playing.sampling());
        let rest = song.without(start, end);
        let answer = self.playing.play(&player, prompt, &Placing::new(&song, frame, end, &[]))?;
        self.playing.finish(&rest, &answer, &player)
    }
}

/// Where the bar that `number` others precede begins.
fn bar(song: &Song, number: u16) -> Beats {
    (0..number).fold(Beats(0.0), |at, _| song.bar_after(Beats(at.0 + 0.01)))
}
