//! `POST /analyze`: what can be told about a file without a model. What was told about a file is remembered.

use std::collections::{HashMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Json;
use axum::extract::State;
use continuo_music::analysis::{Piece, form, harmony, motifs, rhythm};
use continuo_music::key;
use continuo_remote::wire::{
    Analysis, Analyze, Analyzed, Chord, Harmony, Modulation, Motif, Problem, Rhythm, Section, Sections,
};

use super::caller::Caller;
use super::extract::Body;
use super::failure::Failure;
use super::input::file;
use super::life::{Life, Waiter};
use super::service::{Service, outcome};
use super::store::hash;
use super::tasks::facts::{self, class, pitch};
use crate::song::Song;

/// Most files whose analyses are remembered.
const REMEMBERED: usize = 256;
/// Most chords that are told one by one, and degrees of a progression that does not repeat.
const CHORDS: usize = 512;
const DEGREES: usize = 64;
/// Most notes of a file that is looked at.
const NOTES: usize = 100_000;

/// What was told about files, by their hash; the oldest go.
#[derive(Default)]
pub struct Memory {
    told: Mutex<(HashMap<String, Arc<Analyzed>>, VecDeque<String>)>,
}

impl Memory {
    /// What is known about a file.
    fn recall(&self, hash: &str) -> Option<Arc<Analyzed>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).0.get(hash).map(Arc::clone)
    }

    /// Remembers what was found.
    fn keep(&self, found: &Arc<Analyzed>) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let (map, order) = &mut *told;
        let hash = found.midi_input_hash.clone();
        if map.insert(hash.clone(), Arc::clone(found)).is_none() {
            order.push_back(hash);
        }
        if order.len() > REMEMBERED
            && let Some(old) = order.pop_front()
        {
            map.remove(&old);
        }
    }
}

/// Tells about a file.
#[utoipa::path(
    post, path = "/analyze", request_body = Analyze,
    responses((status = 200, body = Analyzed), (status = "default", body = Problem))
)]
pub async fn analyze(
    State(service): State<Arc<Service>>,
    caller: Caller,
    Body(mut asked): Body<Analyze>,
) -> Result<Json<Analyzed>, Failure> {
    let wanted = asked.analyses.take();
    let (name, bytes) = service.apart(move |service| sent(service, &asked)).await?;
    let known = service.memory.recall(&name);
    service.figures.looked_up(known.is_some());
    let known = match known {
        Some(known) => known,
        None => looked(&service, &caller, name, bytes).await?,
    };
    Ok(Json(shown(&known, wanted.as_deref())))
}

/// The file that is meant, and its hash.
fn sent(service: &Service, asked: &Analyze) -> Result<(String, Vec<u8>), Failure> {
    let texts = [
        ("midi_input", &asked.midi_input),
        ("midi_input_hash", &asked.midi_input_hash),
        ("input_hash", &asked.input_hash),
        ("seed_hash", &asked.seed_hash),
    ];
    let bytes = file(&texts, &|hash| service.store.get(hash))?;
    let lacks = || {
        Failure::field("midi_input", "midi_input is missing; send a MIDI file in base64, or midi_input_hash")
    };
    let bytes = bytes.ok_or_else(lacks)?;
    Ok((hash(&bytes), bytes))
}

/// Looks at a file that is not known, in its turn; called off when nobody waits for it any more.
async fn looked(
    service: &Arc<Service>,
    caller: &Caller,
    name: String,
    bytes: Vec<u8>,
) -> Result<Arc<Analyzed>, Failure> {
    let waiter = Waiter(service.life());
    let house = Arc::clone(service);
    let work = move |life: &Life| {
        let found = Arc::new(found(&name, bytes, life)?);
        house.memory.keep(&found);
        Ok(found)
    };
    outcome(service.submit(caller.lane, &waiter.0, work)?).await
}

/// What was asked for.
fn shown(known: &Analyzed, wanted: Option<&[Analysis]>) -> Analyzed {
    let wants = |one| wanted.is_none_or(|list| list.contains(&one));
    Analyzed {
        midi_input_hash: known.midi_input_hash.clone(),
        metadata: known.metadata.clone().filter(|_| wants(Analysis::Metadata)),
        structure: known.structure.clone().filter(|_| wants(Analysis::Structure)),
        motifs: known.motifs.clone().filter(|_| wants(Analysis::Motifs)),
        harmony: known.harmony.clone().filter(|_| wants(Analysis::Harmony)),
        rhythm: known.rhythm.clone().filter(|_| wants(Analysis::Rhythm)),
    }
}

/// Everything about a file. Between its parts it looks at its life.
fn found(hash: &str, bytes: Vec<u8>, life: &Life) -> Result<Analyzed, Failure> {
    life.check()?;
    let wrong = |error: String| Failure::field("midi_input", format!("midi_input: {error}"));
    let song = Song::parse(Path::new("midi_input"), bytes).map_err(|error| wrong(error.to_string()))?;
    if song.notes.is_empty() {
        return Err(wrong("the file has no notes; send one with at least one".into()));
    }
    let count = song.notes.len();
    if count > NOTES {
        return Err(wrong(format!("the file has {count} notes, and may have {NOTES}; send less of it")));
    }
    let piece = Piece::new(&song.notes, &song.meters);
    let metadata = facts::facts(&song, &song.notes);
    life.check()?;
    let structure = structure(&piece);
    life.check()?;
    let motifs = figures(&piece);
    life.check()?;
    let harmony = chords(&piece);
    life.check()?;
    Ok(Analyzed {
        midi_input_hash: hash.into(),
        structure: Some(structure),
        motifs: Some(motifs),
        harmony: Some(harmony),
        rhythm: Some(beat(&piece, &metadata)),
        metadata: Some(metadata),
    })
}

fn structure(piece: &Piece) -> Sections {
    let found = form::sections(piece);
    let section = |one: &form::Section| Section {
        label: form::letter(one.letter).into(),
        measures: if one.to == one.from + 1 {
            one.to.to_string()
        } else {
            format!("{}-{}", one.from + 1, one.to)
        },
    };
    Sections {
        form: form::name(&found),
        measures: piece.bars.len() as u64,
        sections: found.iter().map(section).collect(),
    }
}

fn figures(piece: &Piece) -> Vec<Motif> {
    let measure = |at: &f64| piece.bar(*at) as u64 + 1;
    let motif = |one: motifs::Motif| Motif {
        notes: one.keys.iter().map(|key| pitch(*key)).collect(),
        pitch_classes: one.keys.iter().map(|key| class(*key).into()).collect(),
        occurrences: one.places.len() as u64,
        measures: one.places.iter().map(measure).collect(),
    };
    motifs::motifs(piece).into_iter().map(motif).collect()
}

fn chords(piece: &Piece) -> Harmony {
    let Some(tonality) = key::find(&piece.notes) else { return Harmony::default() };
    let found = harmony::chords(piece);
    let degrees: Vec<String> = found.iter().map(|chord| harmony::degree(chord, tonality)).collect();
    let chord = |(chord, degree): (&harmony::Chord, &String)| Chord {
        measure: chord.bar as u64 + 1,
        beat: chord.beat,
        symbol: format!("{}{}", key::spelt(chord.root), chord.kind.symbol()),
        degree: degree.clone(),
    };
    let keys = harmony::keys(piece);
    let change = |(bar, key): &(usize, harmony::Tonality)| Modulation {
        measure: *bar as u64 + 1,
        key: key::named(*key),
    };
    let mut progression = harmony::cycle(&degrees);
    progression.truncate(DEGREES);
    Harmony {
        key: Some(key::named(tonality)),
        chord_progression: progression,
        chords: found.iter().zip(&degrees).take(CHORDS).map(chord).collect(),
        modulations: keys.iter().skip(1).map(change).collect(),
    }
}

fn beat(piece: &Piece, facts: &continuo_remote::wire::Facts) -> Rhythm {
    let syncopation = rhythm::syncopation(piece);
    Rhythm {
        time_signature: facts.time_signature.clone().unwrap_or_default(),
        tempo: facts.tempo_bpm.unwrap_or_default(),
        syncopation_level: rhythm::level(syncopation).into(),
        syncopation: (syncopation * 1000.0).round() / 1000.0,
    }
}
