//! What is called with bytes that anybody may have made. Each function must come back: with an error, or with
//! something sound; no panic, and no more memory or time than the bytes deserve.

use std::path::Path;

use continuo_inference::compound::{self, Fold};
use continuo_inference::generate::{Request, generate, logits_of};
use continuo_inference::midi::Midi;
use continuo_inference::{Config, Error, Model, pickle};
use continuo_service::part::Part;
use continuo_service::song::Song;
use continuo_timeline::{Bpm, Meter};

/// A MIDI file, as the reference reads it and as the commands that play do; to notes, to events and back.
pub fn midi(bytes: &[u8]) {
    if let Ok(midi) = Midi::parse(bytes) {
        assert!(midi.messages.len() <= bytes.len());
        let notes = compound::from_midi(&midi);
        let events = compound::to_events(&notes);
        assert_eq!(events.len(), 3 * notes.len());
        let _ = compound::from_events(&events, Fold::ByToken);
        if let Ok(back) = compound::from_events(&events, Fold::ByNote)
            && let Ok(written) = compound::to_midi(&back)
        {
            Midi::parse(&written).expect("what was written can be read");
        }
        let _ = compound::to_score(&notes, Bpm(120.0), Meter::COMMON);
    }
    if let Ok(song) = Song::parse(Path::new("a.mid"), bytes.to_vec()) {
        let (start, end) = (song.bar_before(song.end()), song.bar_after(song.end()));
        assert!(start.0 <= end.0 && song.seconds(end).is_finite() && song.tempo(end).0 > 0.0);
        let path = Path::new("b.mid");
        let rest = song.without(start, end);
        let again =
            Song::parse(path, rest.with_answer(&song.notes, None)).expect("what was written can be read");
        let _ = again.part(path, Part::Track(1));
        let turned = again.turning(path, end, &song, start);
        assert!(turned.is_ok_and(|turned| turned.tempo(end).0 > 0.0) || end.0 > 1000.0);
    }
}

/// The text of a `config.json`.
pub fn config(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(config) = Config::parse(text)
    {
        assert!(config.n_embd.is_multiple_of(config.n_head));
    }
}

/// A compact model file. Where its header promises up to 1 MiB more than is there, zeros are put there, so
/// that a header alone can be a whole model.
pub fn compact(bytes: &[u8]) {
    let mut file = bytes.to_vec();
    if let Some(wanted) = length(bytes).filter(|wanted| *wanted <= 1 << 20) {
        file.resize(wanted, 0);
    }
    if let Ok(model) = Model::from_compact(&file) {
        let _ = logits_of(&model)(&[55_026, 34, 10_865]);
    }
}

/// Bytes that a safetensors header wants its file to have.
fn length(bytes: &[u8]) -> Option<usize> {
    let (header, metadata) = safetensors::SafeTensors::read_metadata(bytes).ok()?;
    let data = metadata.tensors().values().map(|tensor| tensor.data_offsets.1).max()?;
    header.checked_add(8)?.checked_add(data)
}

/// A `pytorch_model.bin`; or, where it is no archive, the program that stands in one.
pub fn pickle(bytes: &[u8]) {
    let _ = pickle::tensors(bytes);
    if !bytes.starts_with(b"PK") {
        let _ = pickle::tensors(&archive(bytes));
    }
}

/// An archive with `program` in `a/data.pkl`, and some zeros as storage 0.
fn archive(program: &[u8]) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for (name, data) in [("a/data.pkl", program), ("a/data/0", &[0; 64])] {
        let size = u32::try_from(data.len()).unwrap_or(0).to_le_bytes();
        let from = u32::try_from(bytes.len()).unwrap_or(0).to_le_bytes();
        let middle = [&[0; 12][..], &size, &size, &[u8::try_from(name.len()).unwrap_or(0), 0, 0, 0]].concat();
        directory.extend([b"PK\x01\x02\0\0\0\0", &middle[..], &[0; 10], &from, name.as_bytes()].concat());
        bytes.extend([b"PK\x03\x04\0\0", &middle[..], name.as_bytes(), data].concat());
    }
    let from = u32::try_from(bytes.len()).unwrap_or(0).to_le_bytes();
    bytes.extend(&directory);
    bytes.extend([&b"PK\x05\x06\0\0\0\0\x02\0\x02\0\0\0\0\0"[..], &from, &[0; 2]].concat());
    bytes
}

/// Tokens that [`request`] lets a model give.
const MOST_TOKENS: usize = 9;

/// A request of `continuo sample --exact`, answered by a model that likes some rows; or a list of tokens.
pub fn request(bytes: &[u8]) {
    if let Ok(request) = serde_json::from_slice::<Request>(bytes) {
        let mut calls = 0;
        let mut model = |ids: &[u32]| {
            calls += 1;
            let mut logits = vec![0.0; 55_028];
            ids.iter().for_each(|id| logits[*id as usize % 55_028] += 1.0);
            if calls > MOST_TOKENS { Err(Error::Cancelled) } else { Ok(logits) }
        };
        let _ = generate(&mut model, &request);
    }
    if let Ok(tokens) = serde_json::from_slice::<Vec<i64>>(bytes)
        && let Ok(notes) = compound::from_events(&tokens, Fold::ByNote)
    {
        let _ = compound::to_midi(&notes);
    }
}
