//! `continuo bridge`: from the end of one file to the start of another.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, value_parser};
use continuo_inference::{TimeFrame, tasks};
use continuo_timeline::{Beats, Bpm, Note};
use serde_json::{Value, json};

use crate::continuing::reach;
use crate::placing::Placing;
use crate::playing::Playing;
use crate::song::Song;

/// Arguments of `continuo bridge`.
#[derive(Args)]
#[command(
    after_help = "Example:\n  continuo bridge verse.mid chorus.mid -o both.mid --bars 2\nThe bridge begins at the bar line after the first file's last note, and is exactly as long as was asked for; then the second file\nis played at its own tempo. `tempos` in what is printed says where which tempo begins, in beats."
)]
pub struct Bridge {
    /// The file that comes first; it stays as it is.
    first: PathBuf,
    /// The file that comes after the bridge, from its first bar with notes on, at its own tempo.
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
        let player = self.playing.player()?;
        let (song, second) = (Song::read(&self.first)?, Song::read(&self.second)?);
        let start = song.next_bar();
        let end = Beats(start.0 + f64::from(self.bars) * song.meter(start).1.bar().0);
        let (frame, before) = reach(player.frame(), &song, start);
        let first = second.bar_before(second.notes.first().map_or(Beats(0.0), |note| note.at));
        // A model of seconds hears how fast the second file is; one of beats does not count seconds.
        let pace = match player.frame() {
            TimeFrame::Beats { .. } => 1.0,
            TimeFrame::Seconds => song.tempo(start).0 / second.tempo(first).0,
        };
        let span = (frame.tick(start), frame.tick(end));
        let controls = frame.events(&moved(&second, first, end, pace));
        let prompt = tasks::bridge(frame.events(before), controls, span, self.playing.sampling());
        let programs: Vec<u8> = second.notes.iter().map(|note| note.instrument.0).collect();
        let placing = Placing::new(&song, frame, end, &programs);
        let mut answer = self.playing.play(&player, prompt, &placing)?;
        let notes = answer.len();
        // A part that both files have goes on where it was; others get channels that are free.
        let channel = |note: &Note| placing.channel(note.instrument).unwrap_or(note.channel);
        let after = moved(&second, first, end, 1.0);
        answer.extend(after.into_iter().map(|note| Note { channel: channel(&note), ..note }));
        let whole = song.turning(&self.playing.output, end, &second, first)?;
        let mut report = self.playing.finish(&whole, &answer, &player)?;
        report["answer_notes"] = json!(notes);
        let tempo = |&(at, bpm): &(Beats, Bpm)| json!({ "beat": at.0, "bpm": bpm.0 });
        report["tempos"] = whole.tempos.iter().map(tempo).collect();
        report["answer_from_beat"] = json!(start.0);
        report["answer_to_beat"] = json!(end.0);
        Ok(report)
    }
}

/// The notes of `song` with its bar line `from` at `to`; a beat of it takes `pace` beats.
fn moved(song: &Song, from: Beats, to: Beats, pace: f64) -> Vec<Note> {
    let place = |note: &Note| {
        let at = Beats((note.at - from).0 * pace) + to;
        Note { at, len: Beats(note.len.0 * pace), ..*note }
    };
    song.notes.iter().map(place).collect()
}
