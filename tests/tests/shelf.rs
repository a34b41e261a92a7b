//! Packed weights on disk: the same bits as packed anew, shared, and never trusted.

mod golden;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use continuo_inference::kernel::{Bits, Kernel};
use continuo_inference::{Model, Precision, Shelf};
use serde_json::{Value, json};

const CONFIG: &str = "config_55030_prefixed.json";

/// A checkpoint of its own for a test, and a shelf beside it.
struct Room {
    folder: golden::Folder,
}

impl Room {
    fn new(test: &str) -> Self {
        let room = Self { folder: golden::Folder::of(&format!("shelf-{test}"), CONFIG) };
        room.checkpoint("model", |_| ());
        room
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.0.join(name)
    }

    /// The golden model, its file changed so.
    fn checkpoint(&self, name: &str, change: impl Fn(&mut Vec<u8>)) {
        let (to, from) = (self.path(name), golden::folder().join("model"));
        std::fs::create_dir_all(&to).unwrap();
        std::fs::copy(from.join(CONFIG), to.join("config.json")).unwrap();
        let mut bytes = std::fs::read(from.join("model_55030_prefixed.safetensors")).unwrap();
        change(&mut bytes);
        std::fs::write(to.join("model.safetensors"), bytes).unwrap();
    }

    /// One that is wide enough for four bits, with numbers that look like chance.
    fn wide(&self, name: &str) {
        let (width, rows) = (128, 55_028);
        let mut tensors = vec![("wte".to_owned(), vec![rows, width]), ("wpe".to_owned(), vec![64, width])];
        for layer in 0..2 {
            for (part, sides) in [
                ("attn.c_attn", [1, 3]),
                ("attn.c_proj", [1, 1]),
                ("mlp.c_fc", [1, 4]),
                ("mlp.c_proj", [4, 1]),
            ] {
                tensors.push((format!("h.{layer}.{part}"), sides.map(|side| side * width).to_vec()));
            }
        }
        let (mut header, mut data, mut state) = (serde_json::Map::new(), Vec::new(), 1_u32);
        let mut put = |name: String, shape: &[usize]| {
            let start = data.len();
            for _ in 0..shape.iter().product() {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                data.extend(((state >> 8) as f32 / (1 << 24) as f32 - 0.5).to_le_bytes());
            }
            header.insert(name, json!({"dtype": "F32", "shape": shape, "data_offsets": [start, data.len()]}));
        };
        for (name, shape) in &tensors {
            put(format!("{name}.weight"), shape);
            if name.starts_with("h.") {
                put(format!("{name}.bias"), &shape[1..]);
            }
        }
        for norm in ["h.0.ln_1", "h.0.ln_2", "h.1.ln_1", "h.1.ln_2", "ln_f"] {
            put(format!("{norm}.weight"), &[width]);
            put(format!("{norm}.bias"), &[width]);
        }
        let config = json!({"n_embd": width, "n_layer": 2, "n_head": 2, "n_positions": 64});
        let header = Value::Object(header).to_string();
        std::fs::create_dir_all(self.path(name)).unwrap();
        std::fs::write(self.path(name).join("config.json"), config.to_string()).unwrap();
        let bytes = [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &data].concat();
        std::fs::write(self.path(name).join("model.safetensors"), bytes).unwrap();
    }

    fn shelf(&self) -> Shelf {
        Shelf::at(&self.path("shelf"))
    }

    fn load(&self, name: &str, bits: Bits, shelf: &Shelf) -> Arc<Model> {
        let precision = Precision::With(Kernel::best(), 1, bits);
        Model::load_from(&self.path(name), precision, shelf).unwrap()
    }

    /// The one file on the shelf.
    fn only(&self) -> PathBuf {
        let [file] = &self.shelf().list()[..] else { panic!("{:?}", self.shelf().list()) };
        file.path.clone()
    }
}

/// What a model says after a few tokens.
fn said(model: &Model) -> Vec<f32> {
    let state = model.feed(&mut model.cache(), &[55_026, 3, 10_010, 11_060, 30, 10_012, 11_072]);
    model.logits(&state, 0..model.rows() as u32)
}

fn changed(path: &Path) -> std::time::SystemTime {
    std::fs::metadata(path).unwrap().modified().unwrap()
}

#[test]
fn weights_are_told_apart_by_their_content_alone() {
    let room = Room::new("identity");
    let tail = |bytes: &mut Vec<u8>| *bytes.last_mut().unwrap() ^= 1;
    room.checkpoint("copy", |_| ());
    room.checkpoint("other", tail);
    let told = |name: &str, shelf: &Shelf| room.load(name, Bits::Eight, shelf).identity().expect("digits");
    let model = told("model", &room.shelf());
    assert!(model.len() == 32 && model.bytes().all(|digit| digit.is_ascii_hexdigit()), "{model}");
    for shelf in [room.shelf(), Shelf::none()] {
        assert_eq!([told("model", &shelf), told("copy", &shelf)], [model.clone(), model.clone()]);
        assert_ne!(told("other", &shelf), model);
    }
    assert!(room.shelf().list().iter().any(|file| file.path.to_string_lossy().contains(&model)));
    // Another config makes other music of the same tensors.
    let config = room.path("copy").join("config.json");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replacen("1e-05", "1e-06", 1)).unwrap();
    assert_ne!(told("copy", &Shelf::none()), model);
}

#[test]
fn a_file_and_the_same_in_memory_are_one() {
    let room = Room::new("in-memory");
    let path = room.path("alone.safetensors");
    std::fs::write(&path, continuo_models::DEFAULT).unwrap();
    let file = Model::load_from(&path, Precision::Quick, &Shelf::none()).unwrap().identity();
    assert!(file.is_some());
    assert_eq!(Model::from_compact(continuo_models::DEFAULT).unwrap().identity(), file);
}

#[test]
fn what_was_kept_is_to_the_bit_what_is_packed_anew_and_is_written_once() {
    let room = Room::new("bits");
    room.wide("model");
    let mut all = Vec::new();
    for bits in [Bits::Eight, Bits::Four] {
        let expected = said(&room.load("model", bits, &Shelf::none()));
        room.shelf().clear().unwrap();
        let first = room.load("model", bits, &room.shelf());
        let written = changed(&room.only());
        let second = room.load("model", bits, &room.shelf());
        assert!(first.is_shared() && second.is_shared());
        assert_eq!((said(&first), said(&second)), (expected.clone(), expected.clone()), "{bits:?}");
        all.push(expected);
        assert_eq!(changed(&room.only()), written, "{bits:?} was written again");
    }
    assert!(
        all[0] != all[1] && all.iter().flatten().all(|logit| logit.is_finite()),
        "bits make a difference"
    );
    let four = room.only();
    room.load("model", Bits::Eight, &room.shelf());
    assert!(room.shelf().list().len() == 2 && four.exists(), "each number of bits has a file");
}

#[test]
fn copies_share_a_file_and_a_changed_checkpoint_has_another() {
    let room = Room::new("content");
    let before = said(&room.load("model", Bits::Eight, &room.shelf()));
    room.checkpoint("copy", |_| ());
    assert_eq!(said(&room.load("copy", Bits::Eight, &room.shelf())), before);
    room.only();
    // A weight in the middle, in place: the same path and length.
    room.checkpoint("model", |bytes| {
        let middle = bytes.len() / 2 / 4 * 4;
        bytes[middle + 2] ^= 0x7f;
    });
    let after = room.load("model", Bits::Eight, &room.shelf());
    assert_eq!(said(&after), said(&room.load("model", Bits::Eight, &Shelf::none())));
    assert_eq!(room.shelf().list().len(), 2);
}

#[test]
fn a_checkpoint_that_lay_still_is_known_again_until_it_changes() {
    let room = Room::new("seen");
    let path = room.path("model/model.safetensors");
    let still = changed(&path) - std::time::Duration::from_secs(3_600);
    let touch = || std::fs::File::options().write(true).open(&path).unwrap().set_modified(still).unwrap();
    let notes = || {
        let files = std::fs::read_dir(room.path("shelf")).unwrap().map(|entry| entry.unwrap().path());
        files.filter(|path| path.extension().is_some_and(|it| it == "seen")).collect::<Vec<_>>()
    };
    touch();
    let before = said(&room.load("model", Bits::Eight, &room.shelf()));
    let [note] = &notes()[..] else { panic!("{:?}", notes()) };
    // A note that says nothing is written anew.
    let text = std::fs::read(note).unwrap();
    std::fs::write(note, "no hash").unwrap();
    assert_eq!(said(&room.load("model", Bits::Eight, &room.shelf())), before);
    assert!(std::fs::read(note).unwrap() == text && room.shelf().list().len() == 1);
    // The same length and the same time of change, as some tools leave it.
    room.checkpoint("model", |bytes| bytes.iter_mut().rev().take(400).for_each(|byte| *byte = 0));
    touch();
    room.load("model", Bits::Eight, &room.shelf());
    assert_eq!((room.shelf().list().len(), notes().len()), (2, 2));
}

#[test]
fn what_is_damaged_cut_or_foreign_is_made_anew() {
    let room = Room::new("damage");
    let expected = said(&room.load("model", Bits::Eight, &room.shelf()));
    let path = room.only();
    let whole = std::fs::read(&path).unwrap();
    let flipped = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        bytes
    };
    let mut cases: Vec<Vec<u8>> =
        [0, 17, 25, 33, 41, 73, 4_096, whole.len() / 2, whole.len() - 1].map(flipped).into();
    cases.extend([0, 40, 4_095, 4_096, 100_000, whole.len() - 64].map(|len| whole[..len].to_vec()));
    cases.push([&whole[..], &[0; 64]].concat());
    cases.push(b"something else altogether".repeat(1_000));
    for (number, bytes) in cases.into_iter().enumerate() {
        // As other programs would: a file of its own in its place, since the old one may be mapped.
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, bytes).unwrap();
        let model = room.load("model", Bits::Eight, &room.shelf());
        assert_eq!(said(&model), expected, "case {number}");
        assert!(
            model.is_shared() && std::fs::read(&path).unwrap() == whole,
            "case {number} was not made anew"
        );
    }
    // Whole, but of another checkpoint.
    room.checkpoint("other", |bytes| bytes.iter_mut().rev().take(400).for_each(|byte| *byte = 0));
    room.load("other", Bits::Eight, &room.shelf());
    let other = room.shelf().list().into_iter().find(|kept| kept.path != path).unwrap().path;
    std::fs::remove_file(&path).unwrap();
    std::fs::copy(other, &path).unwrap();
    assert_eq!(said(&room.load("model", Bits::Eight, &room.shelf())), expected);
    assert!(std::fs::read(&path).unwrap() == whole);
}

#[test]
fn a_shelf_that_cannot_be_written_is_no_fault() {
    let room = Room::new("unwritable");
    // Not even root makes a folder in a file.
    let nowhere = Shelf::at(&room.path("model/config.json").join("shelf"));
    let model = room.load("model", Bits::Eight, &nowhere);
    assert!(!model.is_shared() && nowhere.list().is_empty());
    assert_eq!(said(&model), said(&room.load("model", Bits::Eight, &room.shelf())));
}

#[test]
fn nothing_is_left_of_what_was_not_finished_and_clearing_leaves_what_is_in_use() {
    let room = Room::new("clear");
    let model = room.load("model", Bits::Eight, &room.shelf());
    let before = said(&model);
    // A checkpoint that lacks a tensor is an error as without a shelf, and leaves nothing.
    room.checkpoint("bad", |bytes| {
        let at = bytes.windows(4).position(|four| four == b"ln_f").unwrap();
        bytes[at..at + 4].copy_from_slice(b"ln_x");
    });
    let bad = Model::load_from(&room.path("bad"), Precision::Quick, &room.shelf());
    assert!(bad.is_err_and(|error| error.to_string().contains("ln_f")));
    std::fs::write(room.path("shelf/notes.txt"), "of somebody else").unwrap();
    room.only();
    room.shelf().clear().unwrap();
    let left: Vec<_> =
        std::fs::read_dir(room.path("shelf")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["notes.txt"]);
    assert_eq!(said(&model), before);
}
