//! Music as sound and as a picture; `continuo show` does so with a file that is there already.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args, value_parser};
use continuo_timeline::{Beats, Note};
use serde_json::{Value, json};

use crate::song::Song;
use crate::{render, roll};

/// What is made of notes besides a MIDI file.
#[derive(Args)]
pub struct Showing {
    /// Also render the result through the built-in sound to a WAV file (48 kHz, stereo).
    #[arg(long, value_name = "OUT.wav")]
    pub render: Option<PathBuf>,
    /// Also draw a piano roll of the result to a PNG file.
    #[arg(long, value_name = "OUT.png")]
    pub picture: Option<PathBuf>,
}

impl Showing {
    /// Renders and draws what was asked for; `song` says when a beat is and where bars begin.
    pub fn show(&self, song: &Song, heard: &[Note], answer: &[Note]) -> Result<()> {
        let all: Vec<Note> = heard.iter().chain(answer).copied().collect();
        if let Some(path) = &self.render {
            render::render(path, &all, |at| song.seconds(at))?;
        }
        let Some(path) = &self.picture else { return Ok(()) };
        let first = all.iter().map(|note| note.at.0).fold(f64::INFINITY, f64::min);
        let end = all.iter().map(|note| note.at.0 + note.len.0).fold(0.0, f64::max);
        let mut bars = vec![song.bar_before(Beats(first))];
        // More lines than pixels say nothing.
        while let Some(&last) = bars.last().filter(|last| last.0 < end && bars.len() < 2000) {
            bars.push(song.bar_after(Beats(last.0 + 0.01)));
        }
        let file = std::fs::File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(roll::draw(std::io::BufWriter::new(file), heard, answer, &bars)?)
    }
}

/// Arguments of `continuo show`.
#[derive(Args)]
pub struct Show {
    /// The MIDI file.
    input: PathBuf,
    /// Bars, counted from 1, from which notes are drawn as an answer.
    #[arg(long, value_name = "BAR", value_parser = value_parser!(u16).range(1..))]
    from: Option<u16>,
    #[command(flatten)]
    showing: Showing,
}

impl Show {
    /// Runs the command.
    pub fn run(&self) -> Result<Value> {
        let song = Song::read(&self.input)?;
        let from = (1..self.from.unwrap_or(u16::MAX)).try_fold(Beats(0.0), |bar, _| {
            let next = song.bar_after(Beats(bar.0 + 0.01));
            (bar.0 <= song.end().0).then_some(next)
        });
        let split =
            from.map_or(song.notes.len(), |from| song.notes.partition_point(|n| n.at.0 < from.0 - 1e-9));
        let (heard, answer) = song.notes.split_at(split);
        self.showing.show(&song, heard, answer)?;
        Ok(json!({
            "render": self.showing.render, "picture": self.showing.picture,
            "notes": heard.len(), "answer_notes": answer.len(),
        }))
    }
}
