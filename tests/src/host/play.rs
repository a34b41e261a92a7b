//! Playing a score into an instance, block by block, and recording what comes back.

use clack_host::events::event_types::{
    MidiEvent, NoteOffEvent, NoteOnEvent, ParamValueEvent, TransportEvent, TransportFlags,
};
use clack_host::events::spaces::CoreEventSpace;
use clack_host::events::{EventFlags, EventHeader, Match};
use clack_host::prelude::*;
use clack_host::process::audio_buffers::{AudioPortBuffer, AudioPortBufferType, AudioPorts, InputChannel};
use clack_host::utils::{BeatTime, SecondsTime};

use super::{Hosted, Played, Song, Stand};

/// Something that came out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sound {
    /// A note-on.
    On {
        /// MIDI channel from 0.
        channel: u8,
        /// MIDI key.
        key: u8,
        /// MIDI velocity, 1 to 127.
        velocity: u8,
    },
    /// A note-off.
    Off {
        /// MIDI channel from 0.
        channel: u8,
        /// MIDI key.
        key: u8,
    },
    /// Another MIDI message: controllers, bends, pressure.
    Midi([u8; 3]),
    /// Anything else.
    Other,
}

/// What came out of a performance.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recording {
    /// Events by sample of the performance.
    pub events: Vec<(u64, Sound)>,
    /// Left channel.
    pub left: Vec<f32>,
    /// Right channel.
    pub right: Vec<f32>,
}

impl Recording {
    /// Largest absolute sample of a span (in samples).
    pub fn peak(&self, span: std::ops::Range<usize>) -> f32 {
        let end = span.end.min(self.left.len());
        let both = self.left[span.start.min(end)..end].iter().chain(&self.right[span.start.min(end)..end]);
        both.fold(0.0, |peak, x| peak.max(x.abs()))
    }
}

/// Raw input: a sample of the performance, and three MIDI bytes (velocity 0 ons and malformed ones included).
pub type Raw = (u64, [u8; 3]);

impl Hosted {
    /// Plays `score` for `seconds` in blocks of `block` samples (at most what was activated).
    pub fn play(&mut self, score: &[Played], song: &Song, seconds: f64, block: u32) -> Recording {
        let rate = self.config.0;
        let mut input = Vec::new();
        for note in score {
            let on = song.sample(note.at, rate);
            let off = song.sample(note.at + note.len, rate).max(on + 1);
            input.push((on, [0x90 | note.channel, note.key, note.velocity]));
            input.push((off, [0x80 | note.channel, note.key, 0]));
        }
        self.play_raw(&input, song, seconds, block)
    }

    /// The same from raw MIDI: notes go in as CLAP notes, the rest as MIDI.
    pub fn play_raw(&mut self, input: &[Raw], song: &Song, seconds: f64, block: u32) -> Recording {
        let rate = self.config.0;
        let mut input = input.to_vec();
        // Offs first where an off and an on share a sample.
        input.sort_by_key(|(at, bytes)| (*at, bytes[0] & 0xf0 != 0x80));
        let total = (seconds * rate).round() as u64;
        let mut stage = Stage::new(block.min(self.config.1));
        // Reserved at once: nothing below allocates while the song plays.
        let mut recording = Recording {
            events: Vec::with_capacity(65_536),
            left: Vec::with_capacity(total as usize),
            right: Vec::with_capacity(total as usize),
        };
        let mut at = 0;
        let mut next = 0;
        while at < total {
            let stand = song.stand(at, rate);
            let frames = u64::from(stage.block).min(total - at).min(stand.until - at);
            stage.events_in.clear();
            for (id, value) in self.turned.drain(..) {
                stage.events_in.push(&ParamValueEvent::new(0, id, Pckn::match_all(), value));
            }
            let turns = self.later.len();
            self.later.retain(|&(sample, id, value)| {
                let due = sample < at + frames;
                if due {
                    stage.events_in.push(&ParamValueEvent::new(
                        (sample - at) as u32,
                        id,
                        Pckn::match_all(),
                        value,
                    ));
                }
                !due
            });
            while next < input.len() && input[next].0 < at + frames {
                stage.push((input[next].0 - at) as u32, input[next].1);
                next += 1;
            }
            if self.later.len() < turns {
                stage.events_in.sort();
            }
            let transport = song.given.then(|| transport(song, stand));
            let processor = self.processor.as_mut().expect("active").as_started_mut().expect("started");
            stage.process(processor, frames as usize, self.steady, transport.as_ref(), self.watch);
            stage.take(at, frames as usize, self.heard, &mut recording);
            at += frames;
            self.steady += frames;
        }
        recording
    }
}

// The plugin has no audio input.
type NoChannels<T> = std::iter::Empty<InputChannel<'static, T>>;

/// Buffers for one block, made once.
struct Stage {
    block: u32,
    events_in: EventBuffer,
    events_out: EventBuffer,
    audio: [Vec<f32>; 2],
    no_input: AudioPorts,
    ports: AudioPorts,
}

impl Stage {
    fn new(block: u32) -> Self {
        let frames = block as usize;
        Self {
            block,
            events_in: EventBuffer::with_capacity(8192),
            events_out: EventBuffer::with_capacity(8192),
            audio: [vec![0.0; frames], vec![0.0; frames]],
            no_input: AudioPorts::with_capacity(2, 1),
            ports: AudioPorts::with_capacity(2, 1),
        }
    }

    fn push(&mut self, frame: u32, bytes: [u8; 3]) {
        let [status, key, value] = bytes;
        let pckn = Pckn::new(0u16, u16::from(status & 15), u16::from(key), Match::All);
        match status & 0xf0 {
            0x90 => self.events_in.push(&NoteOnEvent::new(frame, pckn, f64::from(value) / 127.0)),
            0x80 => self.events_in.push(&NoteOffEvent::new(frame, pckn, 0.0)),
            _ => self.events_in.push(&MidiEvent::new(frame, 0, bytes)),
        }
    }

    fn process(
        &mut self,
        processor: &mut clack_host::process::StartedPluginAudioProcessor<super::plugin::Host>,
        frames: usize,
        steady: u64,
        transport: Option<&TransportEvent>,
        watch: fn(bool),
    ) {
        self.events_out.clear();
        let mut out = self.ports.with_output_buffers([AudioPortBuffer {
            latency: 0,
            channels: AudioPortBufferType::f32_output_only(self.audio.iter_mut().map(|c| &mut c[..frames])),
        }]);
        let none: [AudioPortBuffer<NoChannels<f32>, NoChannels<f64>>; 0] = [];
        let input = self.no_input.with_input_buffers(none);
        let events_in = InputEvents::from_buffer(&self.events_in);
        let mut events_out = OutputEvents::from_buffer(&mut self.events_out);
        watch(true);
        let status =
            processor.process(&input, &mut out, &events_in, &mut events_out, Some(steady), transport);
        watch(false);
        status.expect("process");
    }

    fn take(&mut self, at: u64, frames: usize, heard: fn(Sound), recording: &mut Recording) {
        recording.left.extend_from_slice(&self.audio[0][..frames]);
        recording.right.extend_from_slice(&self.audio[1][..frames]);
        for event in self.events_out.iter() {
            let time = at + u64::from(event.header().time());
            assert!((event.header().time() as usize) < frames, "an event outside of its block");
            if let Some(sound) = event.as_core_event().and_then(sound) {
                recording.events.push((time, sound));
                heard(sound);
            }
        }
    }
}

fn sound(event: CoreEventSpace<'_>) -> Option<Sound> {
    let number = |m: Match<u16>| m.into_specific().map_or(0, |n| n as u8);
    Some(match event {
        CoreEventSpace::NoteOn(e) => Sound::On {
            channel: number(e.channel()),
            key: number(e.key()),
            velocity: (e.velocity() * 127.0).round() as u8,
        },
        CoreEventSpace::NoteOff(e) => Sound::Off { channel: number(e.channel()), key: number(e.key()) },
        CoreEventSpace::Midi(e) => match e.data() {
            [status, key, velocity] if status & 0xf0 == 0x90 && velocity > 0 => {
                Sound::On { channel: status & 15, key, velocity }
            }
            [status, key, _] if matches!(status & 0xf0, 0x80 | 0x90) => {
                Sound::Off { channel: status & 15, key }
            }
            other => Sound::Midi(other),
        },
        CoreEventSpace::NoteEnd(_) | CoreEventSpace::NoteChoke(_) => return None,
        _ => Sound::Other,
    })
}

fn transport(song: &Song, stand: Stand) -> TransportEvent {
    let (meter, bar) = song.bar(stand.beats);
    let number = (bar * f64::from(meter.1) / 4.0 / f64::from(meter.0)).round();
    let mut flags = TransportFlags::empty();
    flags.set(TransportFlags::HAS_TEMPO, !song.untold.tempo);
    flags.set(TransportFlags::HAS_BEATS_TIMELINE, !song.untold.beats);
    flags.set(TransportFlags::HAS_TIME_SIGNATURE, !song.untold.meter);
    flags.set(TransportFlags::IS_PLAYING, stand.playing);
    flags.set(TransportFlags::IS_LOOP_ACTIVE, song.looped.is_some());
    let (from, to) = song.looped.unwrap_or_default();
    TransportEvent {
        header: EventHeader::new_core(0, EventFlags::empty()),
        flags,
        song_pos_beats: BeatTime::from_float(stand.beats),
        song_pos_seconds: SecondsTime::from_float(0.0),
        tempo: stand.tempo,
        tempo_inc: 0.0,
        loop_start_beats: BeatTime::from_float(from),
        loop_end_beats: BeatTime::from_float(to),
        loop_start_seconds: SecondsTime::from_float(0.0),
        loop_end_seconds: SecondsTime::from_float(0.0),
        bar_start: BeatTime::from_float(bar),
        bar_number: number as i32,
        time_signature_numerator: meter.0,
        time_signature_denominator: meter.1,
    }
}
