//! `continuo continue`: a file in, the file with an answer out.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{Args, value_parser};
use continuo_inference::{TimeFrame, tasks};
use continuo_music::frame::Frame;
use continuo_timeline::{Beats, Note};
use serde_json::{Value, json};

use crate::placing::Placing;
use crate::playing::{self, Playing};
use crate::song::Song;

/// Arguments of `continuo continue`.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  continuo continue song.mid -o more.mid                       8 bars more\n  continuo continue song.mid -o more.mid --bars 4 --seed 2     another answer, of 4 bars\n  continuo continue song.mid -o more.mid --render more.wav     to be listened to\n  continuo continue song.mid -o more.mid --model small         with a checkpoint that was fetched"
)]
pub struct Continue {
    /// The MIDI file to continue (type 0 or 1).
    input: PathBuf,
    /// Length of the answer in bars (8 if neither --bars nor --seconds is given).
    #[arg(long, value_parser = value_parser!(u16).range(1..=256), conflicts_with = "seconds")]
    bars: Option<u16>,
    /// Length of the answer in seconds, at the tempo of the file's end.
    #[arg(long, value_name = "S")]
    seconds: Option<f64>,
    #[command(flatten)]
    playing: Playing,
}

impl Continue {
    /// Runs the command; gives what is printed.
    pub fn run(&self) -> Result<Value> {
        let player = self.playing.player()?;
        let song = Song::read(&self.input)?;
        let start = song.next_bar();
        let end = Beats(start.0 + self.length(&song, start)?);
        let (frame, heard) = reach(player.frame(), &song, start);
        let span = (frame.tick(start), frame.tick(end));
        let prompt = tasks::bridge(frame.events(heard), Vec::new(), span, self.playing.sampling());
        let answer = self.playing.play(&player, prompt, &Placing::new(&song, frame, end, &[]))?;
        let mut report = self.playing.finish(&song, &answer, &player)?;
        report["answer_from_beat"] = json!(start.0);
        report["answer_to_beat"] = json!(end.0);
        report["tempo_bpm"] = json!(song.tempo(start).0);
        Ok(report)
    }

    /// Length of the answer in beats.
    fn length(&self, song: &Song, start: Beats) -> Result<f64> {
        match self.seconds {
            Some(seconds) if seconds > 0.0 && seconds <= 600.0 => Ok(seconds * song.tempo(start).0 / 60.0),
            Some(seconds) => {
                bail!("--seconds {seconds} is outside 0 to 600; continue the result again for more")
            }
            None => Ok(f64::from(self.bars.unwrap_or(8)) * song.meter(start).1.bar().0),
        }
    }
}

/// The prompt reaches back at most this many notes.
const REACH: usize = 400;
/// And so many ticks, which a model knows well.
const TICKS: f64 = 8000.0;

/// The notes before `start` that a model is told, and the frame that begins with their first bar.
pub fn reach<'a>(time: TimeFrame, song: &'a Song, start: Beats) -> (Frame, &'a [Note]) {
    let ticks_per_beat = match time {
        TimeFrame::Beats { ticks_per_beat } => f64::from(ticks_per_beat),
        TimeFrame::Seconds => 6000.0 / song.tempo(start).0,
    };
    let before = &song.notes[..song.notes.partition_point(|note| note.at.0 < start.0 - 1e-9)];
    let earliest = start.0 - TICKS / ticks_per_beat;
    let late = before.partition_point(|note| note.at.0 < earliest);
    let heard = &before[late.max(before.len().saturating_sub(REACH))..];
    let origin = song.bar_before(heard.first().map_or(start, |note| note.at));
    (playing::frame(time, song, origin, start), heard)
}
