//! Who answers, and what happens when that one is replaced, missing, slow, cut or killed: the real worker, the real engine
//! and the real `continuo serve`.

mod serving;

use std::cell::Cell;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use continuo_plugin::partner::Partner;
use continuo_plugin::view::{ModelState, ServiceState};
use continuo_tests::host::{Played, parse};
use continuo_tests::place::Place;
use continuo_tests::rehearsal::Rehearsal;
use continuo_timeline::{Note, Press, Quantise, Settings};
use serving::Serving;

// Without gaps: in one an answer may be asked for that is void by the next note, and its notes would pass the gate.
const PHRASE: &str = "A3@0 len 1 vel 90 C4@1 E4@2 A4@3 G4@4 len 0.5 E4@4.5 len 0.9";

fn phrase(from: f64) -> Vec<Played> {
    parse(PHRASE).into_iter().map(|note| Played { at: note.at + from, ..note }).collect()
}

fn settings(bars: u8) -> Settings {
    Settings { bars, quantise: Quantise::Beat, seed: 5, ..Settings::default() }
}

fn there(address: &str, falls_back: bool) -> Partner {
    Partner { address: address.into(), falls_back, ..Partner::default() }
}

/// A way to a service, which may lead nowhere, and holds back what comes after so many notes.
struct Way {
    address: String,
    to: Arc<Mutex<Option<String>>>,
    /// Notes that may still pass.
    open: Arc<AtomicUsize>,
    /// How often it was led elsewhere.
    era: Arc<AtomicUsize>,
    connections: Arc<Mutex<Vec<TcpStream>>>,
}

impl Way {
    fn new(to: &str, open: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let way = Self {
            address: format!("http://{}", listener.local_addr().unwrap()),
            to: Arc::new(Mutex::new(Some(to.into()))),
            open: Arc::new(AtomicUsize::new(open)),
            era: Arc::default(),
            connections: Arc::default(),
        };
        let (to, all) = (Arc::clone(&way.to), Arc::clone(&way.connections));
        let gate = (Arc::clone(&way.open), Arc::clone(&way.era));
        std::thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let far = to.lock().unwrap().as_ref().and_then(|to| TcpStream::connect(to).ok());
                let Some(far) = far else { continue };
                all.lock().unwrap().extend([near.try_clone().unwrap(), far.try_clone().unwrap()]);
                pass(near, far, gate.clone());
            }
        });
        way
    }

    /// Leads elsewhere or nowhere from now on; what was open breaks.
    fn leads(&self, to: Option<&str>) {
        *self.to.lock().unwrap() = to.map(String::from);
        self.era.fetch_add(1, Ordering::Relaxed);
        for connection in self.connections.lock().unwrap().drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}

fn pass(mut near: TcpStream, mut far: TcpStream, (open, era): (Arc<AtomicUsize>, Arc<AtomicUsize>)) {
    let born = era.load(Ordering::Relaxed);
    let (mut from, mut to) = (near.try_clone().unwrap(), far.try_clone().unwrap());
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Both);
    });
    std::thread::spawn(move || {
        let (mut byte, mut line) = ([0], Vec::new());
        while far.read_exact(&mut byte).is_ok() {
            line.push(byte[0]);
            if byte[0] == b'\n' {
                if line.starts_with(br#"{"type":"note""#)
                    && !may_pass(&open, || era.load(Ordering::Relaxed) == born)
                {
                    break;
                }
                if near.write_all(&line).is_err() {
                    break;
                }
                line.clear();
            }
        }
        let _ = near.write_all(&line);
        let _ = near.shutdown(Shutdown::Both);
    });
}

/// Waits until another note may pass; `false` when the way leads elsewhere by now.
fn may_pass(open: &AtomicUsize, leads_here: impl Fn() -> bool) -> bool {
    let take = |left: usize| left.checked_sub(1);
    while open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_err() {
        if !leads_here() {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    true
}

/// Whether an answer to what was played from `from` on is heard already: until then the one before it is kept.
fn begun(rehearsal: &Rehearsal, from: f64) -> bool {
    let first = rehearsal.notes.iter().find(|note| note.at.0 >= from + 5.0);
    // The worker is a grid point behind.
    first.is_some_and(|first| first.at.0 <= rehearsal.now().0 - 1.0 / 24.0)
}

fn answers(rehearsal: &Rehearsal) -> bool {
    matches!(rehearsal.picture().service, ServiceState::Answers { .. })
}

/// How far notes reach.
fn reach(notes: &[Note]) -> f64 {
    notes.iter().map(|note| note.at.0 + note.len.0).fold(0.0, f64::max)
}

#[test]
fn a_service_answers_as_the_model_here_does() {
    let Some(service) = Serving::new("partner", &[]) else { return };
    let answered = |address: &str| {
        let mut rehearsal = Rehearsal::offline(settings(4));
        rehearsal.partner.choose(there(address, true));
        // Some are still held when the answer is asked for.
        let mut score = phrase(0.0);
        score.extend(parse("C3@4 len 5 E3@4"));
        rehearsal.set(|settings| settings.trigger = continuo_timeline::Trigger::BarLine);
        rehearsal.play(&score, 22.0);
        rehearsal.press(Press::Keep);
        rehearsal.play(&[], 23.0);
        (rehearsal.notes.clone(), rehearsal.takes.takes()[0].model.clone(), rehearsal.picture())
    };
    let (here, name, picture) = answered("");
    assert_eq!((name, &picture.service), (default(), &ServiceState::None));
    assert!(here.len() > 8, "{here:?}");
    let (notes, name, picture) = answered(&service.url);
    assert_eq!((name, notes), (format!("{} at {}", default(), service.url), here));
    let says = ServiceState::Answers { address: service.url.clone(), model: default() };
    assert_eq!(picture.service, says);
}

#[test]
fn a_service_killed_in_the_middle_of_an_answer_is_stood_in_for_and_comes_back() {
    let Some(service) = Serving::new("killed", &[]) else { return };
    let way = Way::new(service.address(), 4);
    let mut rehearsal = Rehearsal::live(settings(8), 300.0);
    rehearsal.partner.choose(there(&way.address, true));
    assert!(rehearsal.wait(answers), "{:?}", rehearsal.picture().service);
    rehearsal.play(&phrase(0.0), 5.5);
    assert!(rehearsal.until(24.0, |rehearsal| rehearsal.notes.len() >= 4));
    let committed = rehearsal.notes.clone();
    drop(service);
    way.leads(None);
    let gone = |rehearsal: &Rehearsal| matches!(rehearsal.picture().service, ServiceState::Gone { .. });
    assert!(rehearsal.wait(gone), "{:?}", rehearsal.picture().service);
    let end = *rehearsal.ends.last().unwrap();
    assert!(
        rehearsal.until(40.0, |rehearsal| reach(&rehearsal.notes) > end - 2.0),
        "to {end}: {:?}",
        rehearsal.notes
    );
    assert_eq!(rehearsal.notes[..committed.len()], committed, "what was committed stays");
    assert!(
        rehearsal.notes.is_sorted_by_key(|note| (note.at.0 * 48.0).round() as i64),
        "{:?}",
        rehearsal.notes
    );
    let picture = rehearsal.picture();
    assert!(matches!(&picture.service, ServiceState::Gone { falls_back: true, .. }), "{:?}", picture.service);
    assert_eq!(picture.model, ModelState::Ready(default()));
    // Another one at the same place is found again, and answers.
    let Some(service) = Serving::new("again", &[]) else { return };
    way.open.store(10_000, Ordering::Relaxed);
    way.leads(Some(service.address()));
    assert!(rehearsal.wait(answers), "{:?}", rehearsal.picture().service);
    let from = rehearsal.now().0.ceil().max(end.ceil()) + 4.0;
    rehearsal.notes.clear();
    rehearsal.play(&phrase(from), from + 5.5);
    assert!(rehearsal.until(40.0, |rehearsal| rehearsal.notes.len() >= 4 && begun(rehearsal, from)));
    rehearsal.press(Press::Keep);
    assert!(rehearsal.until(24.0, |rehearsal| !rehearsal.takes.takes().is_empty()));
    assert!(
        rehearsal.takes.takes()[0].model.contains(&way.address),
        "{:?}",
        rehearsal.takes.takes()[0].model
    );
}

#[test]
fn a_service_that_falls_silent_is_stood_in_for() {
    let Some(service) = Serving::new("silent", &[]) else { return };
    let way = Way::new(service.address(), 2);
    let mut rehearsal = Rehearsal::live(settings(4), 300.0);
    rehearsal.partner.choose(there(&way.address, true));
    assert!(rehearsal.wait(answers), "{:?}", rehearsal.picture().service);
    rehearsal.play(&phrase(0.0), 5.5);
    let slow = ServiceState::Slow { address: way.address.clone() };
    let said = Cell::new(false);
    let enough = rehearsal.until(40.0, |rehearsal| {
        said.set(said.get() || rehearsal.picture().service == slow);
        said.get() && reach(&rehearsal.notes) > 18.0
    });
    assert!(enough, "{:?}, {:?}", rehearsal.picture().service, rehearsal.notes);
    way.open.store(10_000, Ordering::Relaxed);
}

#[test]
fn without_leave_to_stand_in_an_answer_waits_for_the_service() {
    let Some(service) = Serving::new("alone", &[]) else { return };
    let way = Way::new(service.address(), 4);
    let mut rehearsal = Rehearsal::live(settings(8), 300.0);
    rehearsal.partner.choose(there(&way.address, false));
    assert!(rehearsal.wait(answers), "{:?}", rehearsal.picture().service);
    assert_eq!(rehearsal.picture().model, ModelState::Unused);
    rehearsal.play(&phrase(0.0), 5.5);
    assert!(rehearsal.until(24.0, |rehearsal| rehearsal.notes.len() >= 4));
    // The connection breaks; the same answer goes on over the next one.
    way.open.store(10_000, Ordering::Relaxed);
    way.leads(Some(service.address()));
    let end = *rehearsal.ends.last().unwrap();
    assert!(rehearsal.until(40.0, |rehearsal| reach(&rehearsal.notes) > end - 4.0), "{:?}", rehearsal.notes);
    // Killed for good it is said, and nothing hangs.
    drop(service);
    way.leads(None);
    let gone = |rehearsal: &Rehearsal| {
        matches!(rehearsal.picture().service, ServiceState::Gone { falls_back: false, .. })
    };
    assert!(rehearsal.wait(gone), "{:?}", rehearsal.picture().service);
    let from = rehearsal.now().0;
    rehearsal.play(&[], from + 2.0);
}

#[test]
fn without_leave_to_stand_in_a_service_that_fell_silent_is_asked_again() {
    let Some(service) = Serving::new("hiccup", &[]) else { return };
    let way = Way::new(service.address(), 2);
    let mut rehearsal = Rehearsal::live(settings(1), 300.0);
    rehearsal.partner.choose(there(&way.address, false));
    assert!(rehearsal.wait(answers), "{:?}", rehearsal.picture().service);
    rehearsal.play(&phrase(0.0), 5.5);
    assert!(rehearsal.until(24.0, |rehearsal| rehearsal.notes.len() == 2));
    // Its answer never comes to an end; when its time is over, the player is heard again.
    let end = *rehearsal.ends.last().unwrap();
    rehearsal.play(&[], end + 1.0);
    assert!(answers(&rehearsal), "nobody else plays, so it does not rest: {:?}", rehearsal.picture().service);
    way.open.store(10_000, Ordering::Relaxed);
    let from = rehearsal.now().0.ceil() + 1.0;
    rehearsal.play(&phrase(from), from + 5.5);
    assert!(rehearsal.until(24.0, |rehearsal| reach(&rehearsal.notes) > from + 6.0), "{:?}", rehearsal.notes);
}

#[test]
fn an_address_that_nobody_allowed_is_not_asked() {
    let mut rehearsal = Rehearsal::offline(settings(1));
    let address = "http://somebody.invalid:2011";
    rehearsal.partner.choose(there(address, true));
    rehearsal.play(&phrase(0.0), 12.0);
    assert_eq!(rehearsal.picture().service, ServiceState::Stranger(address.into()));
    assert!(!rehearsal.notes.is_empty());
}

/// Name of the model in the box.
fn default() -> String {
    continuo_plugin::models::load("").model.unwrap().name().to_owned()
}

/// What another model's name begins with.
const ANOTHER: &str = "another";

/// The default model under another name.
fn another(place: &Place) -> PathBuf {
    let mut bytes = continuo_models::DEFAULT.to_vec();
    let name = default();
    let at =
        bytes.windows(name.len()).position(|part| part == name.as_bytes()).expect("its name in the file");
    bytes[at..at + ANOTHER.len()].copy_from_slice(ANOTHER.as_bytes());
    place.file("another.safetensors", bytes).into()
}

fn model(path: &std::path::Path) -> Partner {
    Partner { model: path.display().to_string(), ..Partner::default() }
}

#[test]
fn a_model_that_is_missing_is_told_and_the_one_in_the_box_plays() {
    let mut rehearsal = Rehearsal::offline(settings(2));
    rehearsal.partner.choose(model("/nowhere/model.safetensors".as_ref()));
    rehearsal.play(&phrase(0.0), 14.0);
    match &rehearsal.picture().model {
        ModelState::Instead { now, why } => assert!(*now == default() && why.contains("/nowhere"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert!(rehearsal.notes.len() > 3, "{:?}", rehearsal.notes);
}

#[cfg(unix)]
#[test]
fn the_old_model_plays_until_the_new_one_is_there() {
    /// A pipe in place of a file: whoever opens it waits until somebody writes.
    struct Pipe(PathBuf);
    impl Drop for Pipe {
        fn drop(&mut self) {
            // Nobody may wait for it when the test ends early.
            let open = std::fs::OpenOptions::new().read(true).write(true).open(&self.0);
            std::thread::sleep(Duration::from_millis(if std::thread::panicking() { 500 } else { 0 }));
            drop(open);
            let _ = std::fs::remove_file(&self.0);
        }
    }
    let place = Place::new("replaced");
    let mut rehearsal = Rehearsal::live(settings(2), 240.0);
    assert!(rehearsal.wait(|rehearsal| rehearsal.picture().model == ModelState::Ready(default())));
    let pipe = Pipe(std::env::temp_dir().join(format!("continuo-pipe-{}.safetensors", std::process::id())));
    let made = std::process::Command::new("mkfifo").arg(&pipe.0).status().unwrap();
    assert!(made.success());
    rehearsal.partner.choose(model(&pipe.0));
    let by = pipe.0.display().to_string();
    let replacing = ModelState::Replacing { now: default(), by };
    assert!(rehearsal.wait(|rehearsal| rehearsal.picture().model == replacing));
    rehearsal.play(&phrase(0.0), 5.5);
    assert!(rehearsal.until(40.0, |rehearsal| reach(&rehearsal.notes) > 12.0), "{:?}", rehearsal.notes);
    assert_eq!(rehearsal.picture().model, replacing);
    // What comes out of it is no model: the one in the box plays on, and it is said.
    drop(std::fs::OpenOptions::new().write(true).open(&pipe.0).unwrap());
    let instead = |rehearsal: &Rehearsal| matches!(rehearsal.picture().model, ModelState::Instead { .. });
    assert!(rehearsal.wait(instead), "{:?}", rehearsal.picture().model);
    // A good one takes over for the next answer.
    rehearsal.partner.choose(model(&another(&place)));
    let ready = |rehearsal: &Rehearsal| matches!(&rehearsal.picture().model, ModelState::Ready(name) if name.starts_with(ANOTHER));
    assert!(rehearsal.wait(ready), "{:?}", rehearsal.picture().model);
    let from = rehearsal.now().0.ceil() + 8.0;
    rehearsal.notes.clear();
    rehearsal.play(&phrase(from), from + 5.5);
    assert!(rehearsal.until(40.0, |rehearsal| rehearsal.notes.len() > 3 && begun(rehearsal, from)));
    rehearsal.press(Press::Keep);
    assert!(rehearsal.until(24.0, |rehearsal| !rehearsal.takes.takes().is_empty()));
    assert!(rehearsal.takes.takes()[0].model.starts_with(ANOTHER));
}
