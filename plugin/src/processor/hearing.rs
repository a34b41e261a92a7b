//! What the audio thread hears: the player's notes, the pedal, and controls that mean something else than music.

use std::sync::atomic::Ordering;

use continuo_timeline::{Channel, Cut, Instrument, Key, Mode, Press, ToWorker, Trigger, Velocity};

use super::Audio;
use super::hands::Pressed;
use crate::events::{Events, Input, Output};
use crate::params::MidiOut;

/// Number of the sustain pedal among controllers: one in a burst is none of the player's.
const PEDAL: u8 = 64;

impl Audio {
    /// The player does something.
    pub(super) fn hear(&mut self, input: Input, events: &mut impl Events, frame: u32) {
        let (at, epoch) = (self.clock.line(), self.clock.epoch());
        match input {
            Input::On { key, channel, velocity } => {
                if self.is_control(key, channel, velocity, events, frame)
                    || self.echoes.is_echo(key, channel, Some(velocity), frame)
                {
                    return;
                }
                self.struck(key, channel, velocity, events, frame);
            }
            Input::Off { key, channel } => {
                if self.hands.key_up(channel, key) || self.echoes.is_echo(key, channel, None, frame) {
                    return;
                }
                self.tell(ToWorker::Off { at, key, channel, epoch });
                self.synth.note_off(channel, key);
            }
            Input::Controller { channel, number, value } => {
                if self.hands.controller(channel, number, value) {
                    self.release_learnt(channel, number, value, events);
                    return;
                }
            }
            Input::Bend { channel, semitones } => self.synth.bend(channel, semitones),
            Input::Pedal { channel, down } => self.pedal(channel, down),
            Input::AllOff { channel } => self.all_off(channel, events, frame),
            Input::Other => {}
        }
        self.pass(input, events, frame);
    }

    /// A pedal that was passed on before it was learnt comes up for those who listen too.
    fn release_learnt(&mut self, channel: Channel, number: u8, value: f32, events: &mut impl Events) {
        if number == PEDAL && value < 0.5 && self.passed.pedal(channel, false, false) {
            events.pass();
        }
    }

    fn pedal(&mut self, channel: Channel, down: bool) {
        self.tell(ToWorker::Pedal { at: self.clock.line(), down, epoch: self.clock.epoch() });
        let asks = self.settings.is_some_and(|settings| settings.trigger == Trigger::Pedal);
        // It may have held something before it was chosen to ask.
        self.synth.pedal(channel, down && !asks);
    }

    /// All keys of a channel come up, or of all channels.
    fn all_off(&mut self, channel: Option<Channel>, events: &mut impl Events, frame: u32) {
        self.hands.let_go(channel);
        self.tell(ToWorker::AllOff { at: self.clock.line(), channel, epoch: self.clock.epoch() });
        // Answers sound on parts of their own, and go on.
        let players = (0..16).map(Channel).filter(|one| channel.is_none_or(|channel| channel == *one));
        players.for_each(|channel| self.synth.all_off(Some(channel)));
        self.let_go(channel, events, frame);
    }

    /// What was passed on of a channel, or of all, ends note by note, for many who listen know no other end; then its pedal
    /// and its bend.
    pub(super) fn let_go(&mut self, channel: Option<Channel>, events: &mut impl Events, frame: u32) {
        while let Some((channel, key)) = self.passed.pop(channel) {
            events.send(frame, Output::Off { key, channel });
        }
        while let Some(output) = self.passed.pop_control(channel) {
            events.send(frame, output);
        }
    }

    /// Whether a key is no music: it is learnt for something, or asks for an answer.
    fn is_control(
        &mut self,
        key: Key,
        channel: Channel,
        velocity: Velocity,
        events: &mut impl Events,
        frame: u32,
    ) -> bool {
        if let Some(pressed) = self.hands.key(channel, key, f32::from(velocity.0) / 127.0) {
            self.turned(pressed, events, frame);
            return true;
        }
        let asks = self.is_trigger(key);
        if asks {
            self.hands.hold(channel, key);
            self.press(Press::Answer, events, frame);
        }
        asks
    }

    /// All of this sample has been heard.
    pub(super) fn settle(&mut self, events: &mut impl Events, frame: u32) {
        if let Some(pressed) = self.hands.settle() {
            self.turned(pressed, events, frame);
        }
    }

    /// A learnt control was moved.
    fn turned(&mut self, pressed: Pressed, events: &mut impl Events, frame: u32) {
        self.follow(events, frame);
        self.press_all(pressed, events, frame);
    }

    /// Thru: what is played goes on as it came, but never an off without an on, or an on twice. What went on ends also where
    /// thru was closed meanwhile: notes, pedal and bend.
    fn pass(&mut self, input: Input, events: &mut impl Events, frame: u32) {
        let open = self.bypassed || self.params.passes() && self.params.sent() == MidiOut::All;
        match input {
            Input::On { key, channel, .. } if open => {
                if let Some(voice) = self.sounding.end(channel, key) {
                    self.note_off(voice, events, frame);
                }
                if self.passed.off(channel, key) {
                    events.send(frame, Output::Off { key, channel });
                }
                self.passed.on(channel, key);
                events.pass();
            }
            Input::Off { key, channel } => {
                if self.passed.off(channel, key) {
                    events.pass();
                }
            }
            Input::On { .. } => {}
            Input::Pedal { channel, down } => {
                if self.passed.pedal(channel, down, open) {
                    events.pass();
                }
            }
            Input::Controller { channel, number: PEDAL, value } => {
                if self.passed.pedal(channel, value >= 0.5, open) {
                    events.pass();
                }
            }
            Input::Bend { channel, semitones } => {
                if self.passed.bend(channel, semitones, open) {
                    events.pass();
                }
            }
            _ if open => events.pass(),
            _ => {}
        }
    }

    fn is_trigger(&self, key: Key) -> bool {
        self.settings
            .is_some_and(|s| s.mode != Mode::Off && s.trigger == Trigger::Key && s.trigger_key == key)
    }

    fn struck(
        &mut self,
        key: Key,
        channel: Channel,
        velocity: Velocity,
        events: &mut impl Events,
        frame: u32,
    ) {
        self.view.notes_in.fetch_add(1, Ordering::Relaxed);
        if self.yields() {
            self.clock.cut();
            self.new_epoch(Cut::Yield, events, frame);
        }
        let (at, epoch) = (self.clock.line(), self.clock.epoch());
        self.struck = Some(at);
        self.tell(ToWorker::On { at, key, velocity, channel, epoch });
        if self.params.passes() && !self.bypassed {
            self.synth.note_on(self.player(), key, velocity, channel);
        }
    }

    fn player(&self) -> Instrument {
        self.settings.map_or(Instrument(0), |settings| settings.player)
    }
}
