//! Where the plugin meets the framework: events and transport translated, and nothing else.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Instant;

use continuo_timeline::{Channel, Clock, Cut, Host, Key, Meter, Velocity};
use nice_plug::midi::{Channel as HostChannel, Key as HostKey, VoiceID};
use nice_plug::prelude::*;

use crate::editor;
use crate::events::{Events, Input, Output};
use crate::learnt::{Control, Learnt};
use crate::link::link;
use crate::params::ContinuoParams;
use crate::partner::PartnerStore;
use crate::past::Past;
use crate::pieces::Pieces;
use crate::processor::{Audio, Left};
use crate::state::TakeStore;
use crate::view::View;
use crate::worker::{Memory, Worker};

/// The plugin as the framework makes it.
pub struct Continuo {
    params: Arc<ContinuoParams>,
    takes: Arc<TakeStore>,
    view: Arc<View>,
    partner: Arc<PartnerStore>,
    // In this order: the audio half goes first, and the worker sees it and ends.
    audio: Option<Audio>,
    pieces: Pieces,
    worker: Option<Worker>,
    /// What sounds in the host while the plugin is not active.
    left: Option<Left>,
    /// Whether the host renders offline, as it said last.
    offline: bool,
    /// Whether the transport ever stood, or counted beats: then somebody starts and stops it. And whether it rolled then.
    steered: bool,
    rolled: bool,
    /// What was heard live, while it does not play live.
    past: Option<Past>,
}

impl Default for Continuo {
    fn default() -> Self {
        let takes = Arc::new(TakeStore::default());
        let partner = Arc::new(PartnerStore::default());
        let params = ContinuoParams::new(Arc::clone(&takes), Arc::default(), Arc::clone(&partner));
        Self {
            params: Arc::new(params),
            takes,
            partner,
            view: Arc::default(),
            audio: None,
            pieces: Pieces::default(),
            worker: None,
            left: None,
            offline: false,
            steered: false,
            rolled: false,
            past: None,
        }
    }
}

impl Plugin for Continuo {
    const NAME: &'static str = "Continuo";
    const VENDOR: &'static str = "Continuo";
    const URL: &'static str = "";
    const EMAIL: &'static str = "";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const AUDIO_IO_LAYOUTS: &'static [AudioIOLayout] =
        &[AudioIOLayout { main_output_channels: NonZeroU32::new(2), ..AudioIOLayout::const_default() }];
    const MIDI_INPUT: MidiConfig = MidiConfig::MidiCCs;
    const MIDI_OUTPUT: MidiConfig = MidiConfig::MidiCCs;
    // Ardour sends every controller once when a session is loaded.
    const INPUT_EVENT_CAPACITY: usize = 8192;
    // Parameters move at their sample, so that a render is the same at any block size. See `pieces` for what the framework
    // makes of positions then.
    const SAMPLE_ACCURATE_AUTOMATION: bool = true;

    type Editor = nice_plug_egui::EguiEditor<editor::App>;
    type SysExMessage = ();
    type BackgroundTask = ();

    fn params(&self) -> Arc<dyn Params> {
        self.params.clone()
    }

    fn editor(&mut self, _: AsyncExecutor<Self>) -> Option<Self::Editor> {
        editor::create(self.params.clone(), self.view.clone())
    }

    fn activate(
        &mut self,
        _: &AudioIOLayout,
        config: &BufferConfig,
        _: &mut impl ActivateContext<Self>,
    ) -> bool {
        self.deactivate();
        let (audio, worker) = link();
        self.offline = config.process_mode == ProcessMode::Offline;
        let rate = f64::from(config.sample_rate);
        self.pieces = Pieces::new(rate, config.max_buffer_size);
        let mut audio = Audio::new(self.params.clone(), self.view.clone(), audio, rate, self.offline);
        let (memory, line) = self.remember();
        if let Some(left) = self.left.take() {
            audio.inherit(left, rate, line);
        }
        self.audio = Some(audio);
        self.worker = Some(Worker::start(worker, memory));
        true
    }

    fn reset(&mut self) {
        if let Some(audio) = &mut self.audio {
            audio.reset();
        }
    }

    fn process(
        &mut self,
        buffer: &mut Buffer,
        _: &mut AuxiliaryBuffers,
        context: &mut impl ProcessContext<Self>,
    ) -> ProcessStatus {
        let host = host(context.transport());
        let host = if self.is_alone(context) { unsteered(host) } else { host };
        let Some(audio) = &mut self.audio else { return ProcessStatus::Normal };
        if let [left, right, ..] = buffer.as_slice() {
            let host = self.pieces.follow(host, left);
            let mut events =
                HostEvents { context, learnt: &self.params.learnt.0, newest: None, burst: (u32::MAX, 0) };
            audio.process(&host, &mut events, left, right);
        }
        ProcessStatus::KeepAlive
    }

    fn deactivate(&mut self) {
        let Some(audio) = self.audio.take() else { return };
        let (left, clock) = audio.leave();
        self.left = Some(left);
        let memory = self.worker.take().and_then(Worker::leave);
        let now = Instant::now();
        if self.offline {
            self.past.iter_mut().for_each(|past| past.bounced(now));
        } else {
            self.past = memory.map(|memory| Past::new(memory, clock, now));
        }
    }
}

impl Continuo {
    /// Whether this is a program of our own with nobody who steers its song: the framework's transport rolls from the start
    /// to the end of the program. One that ever stands, or counts beats, is somebody's (JACK's) once it rolls, and then for
    /// good: who stops it wants silence.
    fn is_alone(&mut self, context: &impl ProcessContext<Self>) -> bool {
        let transport = context.transport();
        self.steered |= !transport.playing || transport.pos_beats.is_some();
        self.rolled |= self.steered && transport.playing;
        context.plugin_api() == PluginApi::Standalone && !self.rolled
    }

    /// What the next worker knows, and the line on which it heard that. Who renders begins without, so that it repeats.
    fn remember(&mut self) -> (Memory, Option<(Clock, Cut)>) {
        let (past, now) = (self.past.take(), Instant::now());
        let woken = if self.offline {
            self.past = past.and_then(|past| past.bounce(now));
            None
        } else {
            past.and_then(|past| past.wake(now))
        };
        match woken {
            Some((memory, clock, why)) => (memory, Some((clock, why))),
            None => (Memory::new(self.view.clone(), self.takes.clone(), self.partner.clone()), None),
        }
    }
}

fn host(transport: &Transport) -> Host {
    let meter = match (transport.time_sig_numerator, transport.time_sig_denominator) {
        (Some(numerator), Some(denominator)) => {
            let numerator = u8::try_from(numerator).ok().filter(|n| (1..=64).contains(n));
            let denominator = u8::try_from(denominator).ok().filter(|d| [1, 2, 4, 8, 16, 32].contains(d));
            numerator.zip(denominator).map(|(numerator, denominator)| Meter { numerator, denominator })
        }
        _ => None,
    };
    Host {
        playing: transport.playing,
        song: transport.pos_beats(),
        tempo: transport.tempo,
        meter,
        // The field and not the method, which would count from the start of the song where the host says nothing.
        bar: transport.bar_start_pos_beats,
        looped: transport.loop_range_beats(),
        alone: false,
    }
}

/// What the framework says where a program is started without `--tempo`.
const UNASKED: f64 = 120.0;

/// What is to be taken of the framework's word on a song that nobody steers: a tempo that somebody asked for. Without one the
/// player's own counts (*Internal tempo*, *Tap*), and positions at another lead nowhere.
fn unsteered(host: Host) -> Host {
    let tempo = host.tempo.filter(|tempo| (tempo - UNASKED).abs() > 1e-6);
    Host { song: host.song.filter(|_| tempo.is_some()), tempo, alone: true, ..host }
}

/// A burst of more controllers than this at one sample is a host restoring itself, not a player.
const BURST: u32 = 64;

struct HostEvents<'a, C> {
    context: &'a mut C,
    learnt: &'a Learnt,
    newest: Option<NoteEvent<()>>,
    burst: (u32, u32),
}

impl<C: ProcessContext<Continuo>> Events for HostEvents<'_, C> {
    fn next(&mut self) -> Option<(u32, Input)> {
        let event = self.context.next_event()?;
        self.newest = Some(event);
        Some((event.timing(), self.translate(&event).unwrap_or(Input::Other)))
    }

    fn pass(&mut self) {
        if let Some(mut event) = self.newest.take() {
            // What means an off goes on as one: not every host reads an on of velocity 0 so.
            if let NoteEvent::NoteOn { timing, voice_id, channel, key, velocity } = event
                && velocity <= 0.0
            {
                event = NoteEvent::NoteOff { timing, voice_id, channel, key, velocity: 0.0 };
            }
            // The end of all keys has been sent key by key.
            if matches!(event, NoteEvent::NoteOff { key, .. } | NoteEvent::Choke { key, .. } if key.is_wildcard())
            {
                return;
            }
            // A full queue of the host loses it, as it would lose any.
            let _ = self.context.try_send_event(event);
        }
    }

    fn send(&mut self, frame: u32, output: Output) {
        let (timing, voice_id) = (frame, VoiceID::Wildcard);
        let place =
            |channel: Channel, key: Key| (HostChannel::Number(channel.0 & 15), HostKey::Number(key.0 & 127));
        let event = match output {
            Output::On { channel, key, velocity } => {
                let ((channel, key), velocity) = (place(channel, key), f32::from(velocity.0) / 127.0);
                NoteEvent::NoteOn { timing, voice_id, channel, key, velocity }
            }
            Output::Off { channel, key } => {
                let (channel, key) = place(channel, key);
                NoteEvent::NoteOff { timing, voice_id, channel, key, velocity: 0.0 }
            }
            Output::PedalUp { channel } => {
                NoteEvent::MidiCC { timing, channel: channel.0 & 15, cc: 64, value: 0.0 }
            }
            Output::BendBack { channel } => {
                NoteEvent::MidiPitchBend { timing, channel: channel.0 & 15, value: 0.5 }
            }
        };
        let _ = self.context.try_send_event(event);
    }
}

impl<C> HostEvents<'_, C> {
    fn translate(&mut self, event: &NoteEvent<()>) -> Option<Input> {
        match *event {
            // MIDI 1.0: a note-on of velocity 0 is a note-off.
            NoteEvent::NoteOn { channel, key, velocity, .. } if velocity <= 0.0 => {
                let channel = Channel(channel.number().unwrap_or(0) & 15);
                Some(Input::Off { key: Key(key.number()? & 127), channel })
            }
            NoteEvent::NoteOn { channel, key, velocity, .. } => {
                let channel = Channel(channel.number().unwrap_or(0) & 15);
                let key = Key(key.number()? & 127);
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // between 1 and 127
                let velocity = Velocity((velocity * 127.0).round().clamp(1.0, 127.0) as u8);
                Some(Input::On { key, channel, velocity })
            }
            NoteEvent::NoteOff { channel, key, .. } | NoteEvent::Choke { channel, key, .. } => {
                let Some(key) = key.number() else {
                    let channel = channel.number().map(|number| Channel(number & 15));
                    return Some(Input::AllOff { channel });
                };
                let channel = Channel(channel.number().unwrap_or(0) & 15);
                Some(Input::Off { key: Key(key & 127), channel })
            }
            // "All sound off" and "all notes off".
            NoteEvent::MidiCC { channel, cc: 120 | 123, .. } => {
                Some(Input::AllOff { channel: Some(Channel(channel & 15)) })
            }
            NoteEvent::MidiCC { timing, channel, cc, value } => {
                self.burst = if self.burst.0 == timing { (timing, self.burst.1 + 1) } else { (timing, 1) };
                let channel = Channel(channel & 15);
                // A learnt pedal is a controller like others. One that comes up is never learnt: it may hold notes.
                let learnt = self.learnt.knows(Control::Controller(channel, 64))
                    || self.learnt.wanted().is_some() && value >= 0.5;
                Some(match cc {
                    64 if self.burst.1 <= BURST && !learnt => Input::Pedal { channel, down: value >= 0.5 },
                    _ => Input::Controller { channel, number: cc & 127, value },
                })
            }
            NoteEvent::MidiPitchBend { channel, value, .. } => {
                Some(Input::Bend { channel: Channel(channel & 15), semitones: (value - 0.5) * 4.0 })
            }
            _ => None,
        }
    }
}

impl ClapPlugin for Continuo {
    const CLAP_ID: &'static str = "org.continuo.continuo";
    const CLAP_DESCRIPTION: Option<&'static str> = Some("Listens to what you play, and plays on");
    const CLAP_MANUAL_URL: Option<&'static str> = None;
    const CLAP_SUPPORT_URL: Option<&'static str> = None;
    const CLAP_FEATURES: &'static [ClapFeature] =
        &[ClapFeature::Instrument, ClapFeature::NoteEffect, ClapFeature::Synthesizer, ClapFeature::Stereo];
}

impl Vst3Plugin for Continuo {
    const VST3_CLASS_ID: [u8; 16] = *b"ContinuoPlaysOn1";
    const VST3_SUBCATEGORIES: &'static [Vst3SubCategory] =
        &[Vst3SubCategory::Instrument, Vst3SubCategory::Generator, Vst3SubCategory::Stereo];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_alone_has_the_tempo_that_was_asked_for_or_the_players() {
        let told = |tempo| Host { playing: true, song: Some(8.0), tempo: Some(tempo), ..Host::default() };
        let unasked = Host { playing: true, alone: true, ..Host::default() };
        assert_eq!(unsteered(told(120.0)), unasked);
        assert_eq!(unsteered(told(90.0)), Host { alone: true, ..told(90.0) });
    }
}
