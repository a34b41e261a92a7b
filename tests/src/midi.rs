//! Notes from and to Standard MIDI files, in beats.

use std::path::Path;

use anyhow::{Context, Result, bail};
use midly::num::{u4, u7, u15, u24, u28};
use midly::{Format, Header, MetaMessage, MidiMessage, Smf, Timing, Track, TrackEvent, TrackEventKind};

use crate::host::Played;

/// Ticks of a quarter note in the files that we write.
const TICKS: u16 = 480;

/// Notes of a file, sorted, and its first tempo (120 when it has none).
pub fn read(path: &Path) -> Result<(Vec<Played>, f64)> {
    let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
    let file = Smf::parse(&bytes).with_context(|| path.display().to_string())?;
    let Timing::Metrical(ticks) = file.header.timing else { bail!("{}: SMPTE time", path.display()) };
    let ticks = f64::from(ticks.as_int());
    let (mut notes, mut tempo) = (Vec::new(), None);
    for track in &file.tracks {
        let (mut now, mut open) = (0u32, Vec::<(f64, u8, u8, u8)>::new());
        for event in track {
            now += event.delta.as_int();
            let at = f64::from(now) / ticks;
            match event.kind {
                TrackEventKind::Meta(MetaMessage::Tempo(us)) => {
                    tempo = tempo.or(Some(60e6 / f64::from(us.as_int())));
                }
                TrackEventKind::Midi { channel, message: MidiMessage::NoteOn { key, vel } } if vel > 0 => {
                    open.push((at, key.as_int(), vel.as_int(), channel.as_int()));
                }
                TrackEventKind::Midi {
                    channel,
                    message: MidiMessage::NoteOn { key, .. } | MidiMessage::NoteOff { key, .. },
                } => {
                    let same = |n: &(f64, u8, u8, u8)| (n.1, n.3) == (key.as_int(), channel.as_int());
                    if let Some(which) = open.iter().position(same) {
                        let (on, key, velocity, channel) = open.remove(which);
                        notes.push(Played { at: on, len: at - on, key, velocity, channel });
                    }
                }
                _ => {}
            }
        }
    }
    notes.sort_by(|a, b| a.at.total_cmp(&b.at).then(a.key.cmp(&b.key)));
    Ok((notes, tempo.unwrap_or(120.0)))
}

/// Writes one track for each named part, at one tempo.
pub fn write(path: &Path, tempo: f64, parts: &[(&str, &[Played])]) -> Result<()> {
    let header = Header::new(Format::Parallel, Timing::Metrical(u15::new(TICKS)));
    let mut first = Track::new();
    first.push(meta(MetaMessage::Tempo(u24::new((60e6 / tempo) as u32))));
    first.push(meta(MetaMessage::TimeSignature(4, 2, 24, 8)));
    first.push(meta(MetaMessage::EndOfTrack));
    let mut file = Smf { header, tracks: vec![first] };
    for (name, notes) in parts {
        file.tracks.push(track(name, notes));
    }
    file.save(path).with_context(|| path.display().to_string())
}

fn track<'a>(name: &'a str, notes: &[Played]) -> Track<'a> {
    let tick = |beats: f64| (beats * f64::from(TICKS)).round() as u32;
    let mut events: Vec<(u32, bool, &Played)> = Vec::new();
    for note in notes {
        events.push((tick(note.at), true, note));
        events.push((tick(note.at + note.len).max(tick(note.at) + 1), false, note));
    }
    events.sort_by_key(|(at, on, note)| (*at, *on, note.key));
    let mut track = vec![meta(MetaMessage::TrackName(name.as_bytes()))];
    let mut last = 0;
    for (at, on, note) in events {
        let (key, vel) = (u7::new(note.key), u7::new(note.velocity));
        let message = match on {
            true => MidiMessage::NoteOn { key, vel },
            false => MidiMessage::NoteOff { key, vel: u7::new(0) },
        };
        let kind = TrackEventKind::Midi { channel: u4::new(note.channel), message };
        track.push(TrackEvent { delta: u28::new(at - last), kind });
        last = at;
    }
    track.push(meta(MetaMessage::EndOfTrack));
    track
}

fn meta(message: MetaMessage<'_>) -> TrackEvent<'_> {
    TrackEvent { delta: u28::new(0), kind: TrackEventKind::Meta(message) }
}
