//! What the worker thinks: every decision is taken at a tick, from stamped messages alone.
//!
//! - [`deciding`] when and what is answered, [`around`] the take that is played around, [`planning`] the plan and its backup
//! - [`guessing`] answers that somebody may ask for, [`cutting`] what ends them and what of them was heard
//! - [`keeping`] takes, [`lineage`] which takes they were made from, imported files and the journal, [`service`] what becomes of an answer whose service is gone

mod around;
mod cutting;
mod deciding;
mod guessing;
mod keeping;
mod lineage;
mod planning;
mod service;
#[cfg(test)]
mod tests;

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use continuo_music::chord;
use continuo_music::history::History;
use continuo_music::phrase::Phrase;
use continuo_timeline::{
    Beats, Channel, Epoch, FromWorker, Instrument, Key, Mode, Note, Press, Settings, Tick, ToWorker, Trigger,
    Velocity,
};

use self::guessing::Guess;
use self::lineage::Lineage;
use self::planning::Backup;
use super::along::Along;
use super::asking::{Asking, Question};
use super::bus::Player;
use super::engines::Engines;
use super::figures;
use super::maker::Author;
use super::pace::Pace;
use super::trail::Trail;
use crate::link::WorkerSide;
use crate::state::{Take, TakeNote, TakeStore};
use crate::view::{Activity, Picture, View};

/// Notes up to this far ahead are sent before an offline tick is acknowledged.
const HORIZON: f64 = 1.0;
/// Others are told each so many ticks, and the player what is in his way: a quarter of a beat.
const SAID: u64 = 6;

/// An answer as it was asked for and made.
#[derive(Clone)]
struct Answer {
    question: Question,
    /// So far.
    notes: Vec<Note>,
    /// The same in the song that was played then, once that has jumped away.
    placed: Option<Vec<TakeNote>>,
    author: Author,
    /// As they stood when it was asked.
    settings: Settings,
}

/// One instance's mind.
pub struct Mind {
    view: Arc<View>,
    takes: Arc<TakeStore>,
    generation: u32,
    /// Instruments of the take that plays that the model plays instead.
    left_out: Vec<Instrument>,
    engines: Engines,
    /// Who made the newest answer.
    author: Author,
    settings: Option<Settings>,
    tick: Option<Tick>,
    ticks: u64,
    history: History,
    phrase: Phrase,
    /// Whether the sustain pedal is down.
    pedal: bool,
    /// Where in the song the line was.
    trail: Trail,
    pressed: Option<Press>,
    asking: Option<Asking>,
    /// What would be answered if somebody asked now; not while an answer is under way.
    guess: Option<Guess>,
    /// Whether an answer that is to go on until the player is back was cut off by a seek.
    holds: bool,
    /// Whether the host rolled at the last tick of this audio thread.
    rolls: bool,
    newest: Option<Answer>,
    /// What was the newest before an answer that has not begun yet.
    before: Option<Answer>,
    /// The take that was kept while its answer came, and where that begins.
    grows: Option<(Beats, Take)>,
    lineage: Lineage,
    answers: u64,
    along: Along,
    /// The plan before the newest, while that has not come.
    backup: Option<Backup>,
    /// Where the newest plan took over.
    from: Option<Beats>,
    /// The beat that was counted last.
    beat: f64,
    pace: Pace,
    /// Where on the line an answer was made thinner last.
    thinned: f64,
    player: Player,
    /// What was said last of the project's takes.
    said_of_takes: String,
    unsent: Vec<FromWorker>,
    picture: Picture,
}

impl Mind {
    /// Knows nothing yet.
    pub fn new(view: Arc<View>, takes: Arc<TakeStore>, engines: Engines) -> Self {
        Self {
            view,
            // Not what the store says: the first look finds a difference and sends what was loaded before.
            generation: takes.generation().wrapping_sub(1),
            takes,
            left_out: Vec::new(),
            engines,
            author: Author::default(),
            settings: None,
            tick: None,
            ticks: 0,
            history: History::default(),
            phrase: Phrase::default(),
            pedal: false,
            trail: Trail::default(),
            pressed: None,
            asking: None,
            guess: None,
            holds: false,
            rolls: false,
            newest: None,
            before: None,
            grows: None,
            lineage: Lineage::default(),
            answers: 0,
            along: Along::default(),
            backup: None,
            from: None,
            beat: f64::NEG_INFINITY,
            pace: Pace::default(),
            thinned: f64::NEG_INFINITY,
            player: Player::join(),
            said_of_takes: String::new(),
            unsent: Vec::new(),
            picture: Picture::default(),
        }
    }

    /// Another mind in place of one that met a defect of its own: it forgets what was heard, and says so.
    pub fn after_defect(self) -> Self {
        let mut next = Self {
            author: self.author,
            settings: self.settings,
            ticks: self.ticks,
            answers: self.answers,
            ..Self::new(self.view, self.takes, self.engines)
        };
        next.view.defects.fetch_add(1, Ordering::Relaxed);
        let (model, service) = (self.picture.model, self.picture.service);
        next.show(|picture| {
            (picture.model, picture.service) = (model, service);
            picture.message =
                "Continuo met a defect of its own and listens anew. Takes are safe; please report it.".into();
        });
        next
    }

    /// The audio thread has ended; another may follow.
    pub fn put_away(&self) {
        self.player.go_away();
    }

    /// The same mind behind another audio thread, which runs at another rate or in other blocks: what was heard stays.
    pub fn resumed(mut self) -> Self {
        self.unsent.clear();
        self.ticks = 0;
        self.rolls = false;
        // The new audio thread has no takes.
        self.generation = self.takes.generation().wrapping_sub(1);
        // Another mind may have been seen meanwhile.
        self.show(|_| ());
        self
    }

    /// Who answers, and how that stands.
    fn follow_engines(&mut self) {
        if let Some((model, service)) = self.engines.follow() {
            self.show(|picture| (picture.model, picture.service) = (model, service));
        }
    }

    /// Whether it may have to answer soon.
    pub fn is_armed(&self) -> bool {
        self.settings.is_none_or(|settings| settings.mode != Mode::Off)
    }

    /// How long nothing is missed by not looking. Each waking of each instance costs the host's audio threads a little; grid points
    /// are tens of milliseconds apart, and only an answer's first note is waited for by anybody.
    pub fn nap(&self) -> Duration {
        Duration::from_millis(match &self.asking {
            _ if !self.is_armed() => 20,
            Some(asking) if asking.is_waited_for() => 1,
            _ => 5,
        })
    }

    /// Deals with what came; whether there was anything to do.
    pub fn work(&mut self, side: &mut WorkerSide) -> bool {
        let mut busy = false;
        self.follow_engines();
        if self.engines.is_about_to_begin() {
            return false;
        }
        while let Some(message) = side.receive() {
            busy = true;
            self.hear(message, side);
        }
        self.resend_takes();
        self.bring_in();
        busy |= self.pump(false, None) | self.read_guess();
        self.grow();
        self.flush(side);
        if self.unsent.is_empty() {
            side.ack(self.ticks);
        }
        busy
    }

    fn hear(&mut self, message: ToWorker, side: &mut WorkerSide) {
        match message {
            ToWorker::Tick(tick) => self.tick(tick, side),
            ToWorker::On { at, key, velocity, channel, .. } => self.on(at, key, velocity, channel),
            ToWorker::Off { at, key, channel, .. } => self.history.off(at, key, channel, self.instrument()),
            ToWorker::Pedal { at, down, .. } => self.pedal(at, down),
            ToWorker::AllOff { at, channel, .. } => self.history.all_off(at, channel, self.instrument()),
            ToWorker::Epoch { at, heard, why, .. } => self.cut(at, heard, why),
            ToWorker::Press { press: Press::Keep, .. } => self.keep(),
            // Who plays along waits for the player.
            ToWorker::Press { press: Press::Panic, .. } => self.along = Along::default(),
            ToWorker::Press { press, .. } => self.pressed = Some(press),
            ToWorker::Settings(settings) => self.turned(settings),
            #[cfg(test)]
            ToWorker::Late { at } if at.0.is_nan() => panic!("a defect, as a test asks for"),
            ToWorker::Late { .. } => {}
        }
    }

    fn on(&mut self, at: Beats, key: Key, velocity: Velocity, channel: Channel) {
        self.history.on(at, key, channel, velocity, self.instrument());
        self.along.heard(at);
        self.phrase.note(at);
        self.activity(Activity::Listening);
    }

    /// The pedal moves. Where it asks for answers it holds no notes, and only its rise after a fall asks: one that is half
    /// down sends what means up.
    fn pedal(&mut self, at: Beats, down: bool) {
        let asks = self.settings.is_some_and(|settings| settings.trigger == Trigger::Pedal);
        self.history.pedal(at, down && !asks, self.instrument());
        if std::mem::replace(&mut self.pedal, down) && !down {
            self.phrase.pedal_up();
        }
    }

    /// Other settings. What was played and pressed where nothing was answered on demand asks for nothing now.
    fn turned(&mut self, settings: Settings) {
        let before = self.settings.replace(settings);
        self.guess = None;
        if takes_turns(&settings) && before.is_some_and(|before| !takes_turns(&before)) {
            self.phrase.close();
            self.pressed = None;
        }
    }

    fn instrument(&self) -> Instrument {
        self.settings.map_or(Instrument(0), |settings| settings.player)
    }

    fn tick(&mut self, tick: Tick, side: &mut WorkerSide) {
        self.tick = Some(tick);
        self.rolls = tick.playing;
        self.trail.follow(&tick);
        self.ticks += 1;
        if tick.offline {
            self.engines.settle();
            self.follow_engines();
        }
        self.watch_over_service(&tick);
        if let Some(settings) = self.settings.filter(|_| self.ticks % SAID == 0) {
            self.say_if_it_stands(&tick, &settings);
        }
        if self.settings.is_none_or(|settings| settings.mode != Mode::Accompany) {
            self.lineage.plays_around(tick.at, None);
        }
        match self.settings {
            Some(settings) if settings.mode.plays_along() => self.play_along(&tick, &settings),
            Some(settings) if settings.mode != Mode::Off => {
                // Who comes in where it ends begins a phrase.
                if self.phrase.began().is_some() {
                    self.retire(&tick);
                }
                self.decide(&tick, &settings);
            }
            _ => {}
        }
        self.count_beat(&tick);
        self.thin_out(&tick);
        self.retire(&tick);
        self.say(&tick);
        self.show_chord();
        self.show_phrase(&tick);
        if tick.offline {
            self.pump(true, Some(tick.at.0 + HORIZON));
            self.flush(side);
        }
        if self.unsent.is_empty() || !tick.offline {
            side.ack(self.ticks);
        }
    }

    /// What sounded so far, for instances that hear others.
    fn say(&self, tick: &Tick) {
        if self.ticks % SAID != 0 || self.player.is_alone() {
            return;
        }
        let (Some(settings), instrument) = (self.settings, self.instrument()) else { return };
        let own = self.history.played(tick.at, instrument).into_iter().map(|note| (note, true));
        let mut notes: Vec<(Note, bool)> = own.collect();
        let answers = self.history.answered().chain(self.asking.iter().flat_map(|asking| &asking.notes));
        notes.extend(answers.filter(|_| !settings.muted).map(|note| (*note, !settings.hears_others)));
        self.player.say(tick, notes);
    }

    /// The chord that is held; the last one stays until there is another.
    fn show_chord(&mut self) {
        let chord = chord::name(self.history.sounding());
        if !chord.is_empty() && chord != self.picture.chord {
            self.show(|picture| picture.chord = chord);
        }
    }

    /// The phrase as it grows, a few times a beat.
    fn show_phrase(&mut self, tick: &Tick) {
        let Some(began) = self.phrase.began().filter(|_| self.ticks % 4 == 0 && self.asking.is_none()) else {
            return;
        };
        let mut heard = self.history.notes(tick.at, self.instrument());
        heard.retain(|note| note.at.0 >= began.0 - 1e-9);
        let bar = (tick.bar.0, tick.meter.bar().0);
        self.show(|picture| {
            picture.heard = heard;
            picture.answer.clear();
            picture.answer_at = None;
            picture.bar = bar;
        });
    }

    /// Takes notes from the engine; with `wait`, until they reach beyond `until` on the line.
    fn pump(&mut self, wait: bool, until: Option<f64>) -> bool {
        let mut any = false;
        loop {
            let Some(asking) = &mut self.asking else { return any };
            if asking.done || until.is_some_and(|until| asking.frontier().0 > until) {
                break;
            }
            match asking.next(wait) {
                Ok(Some(note)) => {
                    any = true;
                    let (epoch, waited) = (asking.epoch, asking.take_waited());
                    self.plan(note, epoch, waited);
                }
                Ok(None) if asking.done => self.take_over(),
                Ok(None) => break,
                Err(_) if self.stood_in_for() => {}
                Err(what) => {
                    self.take_over();
                    self.show(|picture| picture.message = format!("No answer: {what}"));
                }
            }
        }
        if any {
            self.picture_answer();
        }
        any
    }

    /// A note of the newest plan; the first of them ends the plan before.
    fn plan(&mut self, mut note: Note, epoch: Epoch, waited: Option<f64>) {
        if let Some(seconds) = waited {
            self.pace.waited(seconds);
            if self.asking.as_ref().is_some_and(|asking| asking.maker().is_there()) {
                self.engines.was_quick();
            }
            if self.waits_for_a_plan() {
                self.take_over();
            } else {
                note.at.0 += self.put_off(&note);
            }
        }
        if self.from.is_some_and(|from| note.at.0 < from.0 - 1e-9) {
            // Its place is past: it is no note of the answer.
            if let Some(asking) = &mut self.asking {
                asking.notes.retain(|other| other.at.0 >= note.at.0 + 1e-9);
            }
            return;
        }
        self.unsent.push(FromWorker::Planned { note, epoch });
    }

    fn picture_answer(&mut self) {
        let Some(asking) = &self.asking else { return };
        let horizon = self.tick.map_or(0.0, |tick| self.pace.horizon(&tick));
        let (notes, pace) = (asking.notes.clone(), asking.maker().ms_per_token());
        if let Some(newest) = &mut self.newest {
            newest.notes.clone_from(&notes);
        }
        self.show(|picture| {
            picture.answer = notes;
            picture.horizon = horizon;
            picture.ms_per_token = pace;
            picture.activity = Activity::Playing;
        });
    }

    /// An answer that is over belongs to the history. What of it has not come by then never will.
    fn retire(&mut self, tick: &Tick) {
        let mode = self.settings.map_or(Mode::Off, |settings| settings.mode);
        // A plan is followed by the next, and who holds goes on, if a service that is away lets him, until the player is back.
        let waits = mode == Mode::Hold && self.phrase.began().is_none();
        let over = |asking: &Asking| asking.done || !mode.plays_along();
        if self.asking.as_ref().is_some_and(|asking| tick.at.0 >= asking.question.end.0 && over(asking))
            && !waits
            && let Some(asking) = self.asking.take()
        {
            self.archive(&asking.notes, asking.question.end);
            self.activity(Activity::Waiting);
        }
    }

    fn flush(&mut self, side: &mut WorkerSide) {
        let sent = self.unsent.iter().take_while(|message| side.send(**message).is_ok()).count();
        self.unsent.drain(..sent);
    }

    fn activity(&mut self, activity: Activity) {
        if self.picture.activity != activity {
            self.show(|picture| picture.activity = activity);
        }
    }

    /// For those who measure.
    pub fn report(&self) {
        figures::write(&self.view, &self.pace);
    }

    /// Whether its host renders offline.
    pub fn is_offline(&self) -> bool {
        self.tick.is_some_and(|tick| tick.offline)
    }

    /// Changes what the editor sees.
    pub fn show(&mut self, change: impl FnOnce(&mut Picture)) {
        change(&mut self.picture);
        *self.view.picture.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(self.picture.clone());
    }
}

/// Whether answers come one after the other, each to a phrase.
fn takes_turns(settings: &Settings) -> bool {
    settings.mode != Mode::Off && !settings.mode.plays_along()
}
