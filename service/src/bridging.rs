//! `continuo bridge`: from the end of one file to the start of another.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, value_parser};
use continuo_inference::tasks;
use continuo_timeline::{Beats, Note};
use serde_json::{Value, json};

use crate::continuing::reach;
use crate::placing::Placing;
use crate::playing::Playing;
use crate::song::Song;

/// Arguments of `continuo bridge`.
#[derive(Args)]
pub struct Bridge {
    /// The file that comes first; it stays as it is.
    first: PathBuf,
    /// The file that comes after the bridge, from its first bar with notes on, at the tempo of the first.
    second: PathBuf,
    /// Length of the bridge in bars.
    #[arg(long, default_value_t = 4, value_parser = value_parser!(u16).range(1..=64))]
    bars: u16,
    #[command(flatten)]
    playing: Playing,
}

impl Bridge {
    /// Runs the command.
    pub fn run(&self) -> Result<Value> {
        let model = self.playing.model()?;
        let (song, second) = (Song::read(&self.first)?, Song::read(&self.second)?);
        let start = song.bar_after(song.end());
        let end = Beats(start.0 + f64::from(self.bars) * song.meter(start).1.bar().0);
        let (frame, before) = reach(&model, &song, start);
        let after = moved(&second, end);
        let span = (frame.tick(start), frame.tick(end));
        let prompt = tasks::bridge(frame.events(before), frame.events(&after), span, self.playing.sampling());
        let mut answer = self.playing.play(&model, prompt, &Placing::new(&song, frame, end, &[]))?;
        let notes = answer.len();
        answer.extend(after);
        let mut report = self.playing.finish(&song, &answer, &model)?;
        report["answer_notes"] = json!(notes);
        report["answer_from_beat"] = json!(start.0);
        report["answer_to_beat"] = json!(end.0);
        Ok(report)
    }
}

/// The notes of `song`, its first bar at `to`.
fn moved(song: &Song, to: Beats) -> Vec<Note> {
    let first = song.bar_before(song.notes.first().map_or(Beats(0.0), |note| note.at));
    song.notes.iter().map(|note| Note { at: note.at - first + to, ..*note }).collect()
}
