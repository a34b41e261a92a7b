//! One model in every form that checkpoints come in, and files that must be refused by name.

mod golden;

use std::path::Path;

use continuo_inference::Model;
use continuo_inference::generate::logits_of;
use serde_json::{Map, Value, json};

const CONFIG: &str = "config_55030_prefixed.json";

/// A tensor of f32: name, sides, bytes.
type Tensor = (String, Vec<u64>, Vec<u8>);

/// The golden tensors, and two that a model has no use for.
fn tensors() -> Vec<Tensor> {
    let bytes = std::fs::read(golden::folder().join("model/model_55030_prefixed.safetensors")).unwrap();
    let start = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: Map<String, Value> = serde_json::from_slice(&bytes[8..start]).unwrap();
    let mut tensors: Vec<Tensor> = vec![
        ("lm_head.weight".into(), vec![2, 2], vec![9; 16]),
        ("transformer.h.0.attn.bias".into(), vec![1, 1, 2, 2], vec![1; 16]),
    ];
    for (name, about) in header.iter().filter(|(name, _)| *name != "__metadata__") {
        let range: Vec<usize> = golden::numbers(&about["data_offsets"]).iter().map(|n| *n as usize).collect();
        let shape = golden::numbers(&about["shape"]).iter().map(|n| *n as u64).collect();
        tensors.push((name.clone(), shape, bytes[start + range[0]..start + range[1]].to_vec()));
    }
    tensors
}

fn safetensors(tensors: &[Tensor]) -> Vec<u8> {
    let (mut header, mut data) = (Map::new(), Vec::new());
    for (name, shape, bytes) in tensors {
        let offsets = [data.len(), data.len() + bytes.len()];
        header.insert(name.clone(), json!({"dtype": "F32", "shape": shape, "data_offsets": offsets}));
        data.extend(bytes);
    }
    let header = Value::Object(header).to_string();
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &data].concat()
}

/// As `torch.save` writes a dictionary of tensors.
fn pickled(tensors: &[Tensor]) -> Vec<u8> {
    let text = |text: &str| [&b"X"[..], &(text.len() as u32).to_le_bytes(), text.as_bytes()].concat();
    let int = |n: u64| [&b"J"[..], &(n as u32).to_le_bytes()].concat();
    let mut program = b"\x80\x02ccollections\nOrderedDict\nq\0)Rq\x01(".to_vec();
    for (index, (name, shape, bytes)) in tensors.iter().enumerate() {
        let strides = (1..=shape.len()).map(|side| shape[side..].iter().product());
        let tuple = |sides: Vec<u64>| {
            [b"(".to_vec(), sides.into_iter().flat_map(int).collect(), b"t".to_vec()].concat()
        };
        program.extend([text(name), b"ctorch._utils\n_rebuild_tensor_v2\n((".to_vec()].concat());
        program
            .extend([text("storage"), b"ctorch\nFloatStorage\n".to_vec(), text(&index.to_string())].concat());
        program.extend([text("cpu"), int(bytes.len() as u64 / 4), b"tQK\0".to_vec()].concat());
        program.extend(
            [tuple(shape.clone()), tuple(strides.collect()), b"\x89h\0)RtRr\x07\x01\0\0".to_vec()].concat(),
        );
    }
    program.extend(b"u}");
    program.extend([text("_metadata"), b"Nsb.".to_vec()].concat());
    let mut entries = vec![("archive/data.pkl".to_owned(), program)];
    entries.extend(tensors.iter().enumerate().map(|(i, one)| (format!("archive/data/{i}"), one.2.clone())));
    zip(&entries)
}

fn zip(entries: &[(String, Vec<u8>)]) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for (name, data) in entries {
        let size = (data.len() as u32).to_le_bytes();
        let middle = [&[0; 12][..], &size, &size, &(name.len() as u16).to_le_bytes(), &[0; 2]].concat();
        directory.extend(
            [b"PK\x01\x02\0\0\0\0", &middle[..], &[0; 10], &(bytes.len() as u32).to_le_bytes()].concat(),
        );
        directory.extend(name.as_bytes());
        bytes.extend([b"PK\x03\x04\0\0", &middle[..], name.as_bytes(), data].concat());
    }
    let (count, from) = ((entries.len() as u16).to_le_bytes(), bytes.len() as u32);
    bytes.extend(&directory);
    let sizes = [(directory.len() as u32).to_le_bytes(), from.to_le_bytes()].concat();
    bytes.extend([b"PK\x05\x06\0\0\0\0", &count[..], &count, &sizes, &[0; 2]].concat());
    bytes
}

/// The folder of the golden model without its weights.
fn folder(test: &str) -> golden::Folder {
    let folder = golden::Folder::of(test, CONFIG);
    std::fs::remove_file(folder.0.join("model.safetensors")).unwrap();
    folder
}

fn logits(path: &Path) -> Vec<f32> {
    logits_of(&Model::load(path).unwrap_or_else(|error| panic!("{error}")))(&[55_026, 34, 10_865, 21_445])
        .unwrap()
}

fn refused(path: &Path, words: &[&str]) {
    let error = Model::load(path).err().expect("must be refused").to_string();
    for word in words.iter().chain(&[path.to_str().unwrap(), "expected"]) {
        assert!(error.contains(word), "{word:?} is not in {error:?}");
    }
}

#[test]
fn shards_and_pickles_are_the_same_model() {
    let whole = golden::Folder::of("whole", CONFIG);
    let tensors = tensors();
    let shards = folder("shards");
    let (one, two) = tensors.split_at(tensors.len() / 2);
    let mut map = Map::new();
    for (name, part) in [("model-1-of-2.safetensors", one), ("model-2-of-2.safetensors", two)] {
        std::fs::write(shards.0.join(name), safetensors(part)).unwrap();
        map.extend(part.iter().map(|tensor| (tensor.0.clone(), json!(name))));
    }
    let index = json!({"metadata": {}, "weight_map": map}).to_string();
    std::fs::write(shards.0.join("model.safetensors.index.json"), index).unwrap();
    assert_eq!(logits(&shards.0), logits(&whole.0));
    let pickle = folder("pickle");
    std::fs::write(pickle.0.join("pytorch_model.bin"), pickled(&tensors)).unwrap();
    assert_eq!(logits(&pickle.0), logits(&whole.0));
}

#[test]
fn pickles_that_would_run_something_are_refused_by_name() {
    let folder = folder("malicious");
    let file = folder.0.join("pytorch_model.bin");
    let call = |program: &[u8]| zip(&[("archive/data.pkl".into(), program.to_vec())]);
    let system = call(b"\x80\x02cposix\nsystem\nX\x04\0\0\0true\x85R.");
    std::fs::write(&file, system).unwrap();
    refused(&folder.0, &["pytorch_model.bin", "posix.system", "not run"]);
    std::fs::write(&file, call(b"\x80\x02(X\x02\0\0\0osX\x06\0\0\0system\x93.")).unwrap();
    refused(&folder.0, &["pytorch_model.bin", "0x93", "not run"]);
    std::fs::write(&file, call(&[&b"\x80\x02)"[..], &[0x85; 100_000], b"."].concat())).unwrap();
    refused(&folder.0, &["pytorch_model.bin", "lists"]);
}

/// A file that PyTorch itself wrote (`tests/scripts/pickle_fixtures.py`).
fn written_by_torch(name: &str) -> Vec<u8> {
    std::fs::read(golden::folder().join("pickle").join(name)).unwrap()
}

/// A folder whose blocks are a file of PyTorch's, beside the embeddings, as shards of an index.
fn with_blocks(test: &str, blocks: &str) -> golden::Folder {
    let folder = folder(test);
    let (ours, theirs) = ("pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin");
    let embeddings: Vec<Tensor> =
        tensors().into_iter().filter(|one| one.0.contains(".wte.") || one.0.contains(".wpe.")).collect();
    assert_eq!(embeddings.len(), 2);
    std::fs::write(folder.0.join(ours), pickled(&embeddings)).unwrap();
    std::fs::write(folder.0.join(theirs), written_by_torch(blocks)).unwrap();
    let index = json!({"metadata": {}, "weight_map": {"transformer.wte.weight": ours, "transformer.ln_f.bias": theirs}});
    std::fs::write(folder.0.join("pytorch_model.bin.index.json"), index.to_string()).unwrap();
    folder
}

#[test]
fn files_that_torch_wrote_are_the_same_model() {
    let whole = golden::Folder::of("torch-whole", CONFIG);
    assert_eq!(logits(&with_blocks("torch", "blocks.bin").0), logits(&whole.0));
    // One block in f16, one in bf16, a parameter, and a view: near, within what 8 bits of a mantissa give.
    let (exact, halves) = (logits(&whole.0), logits(&with_blocks("halves", "halves.bin").0));
    let most = exact.iter().fold(0.0_f32, |most, logit| most.max(logit.abs()));
    let off = exact.iter().zip(&halves).fold(0.0_f32, |most, (a, b)| most.max((a - b).abs()));
    assert!(off > 0.0 && off < 0.02 * most, "{off} off, where logits go to {most}");
}

#[test]
fn files_of_torch_that_are_no_state_dict_are_refused_by_name() {
    let folder = folder("torch-refused");
    let file = folder.0.join("pytorch_model.bin");
    let cases: [(&str, &[&str]); 5] = [
        ("harm.bin", &["posix.system", "not run"]),
        ("harm.pkl.bin", &["no zip archive"]),
        ("module.bin", &["torch.nn.modules.linear.Linear", "not run"]),
        ("columns.bin", &["row by row", "safetensors"]),
        ("old.bin", &["no zip archive", "safetensors"]),
    ];
    for (name, words) in cases {
        std::fs::write(&file, written_by_torch(name)).unwrap();
        refused(&folder.0, &[&["pytorch_model.bin"], words].concat());
    }
    assert!(!Path::new("harm-was-done").exists());
}

#[test]
fn damaged_pickles_are_refused_and_never_a_panic() {
    let folder = folder("damaged");
    let (file, good) = (folder.0.join("pytorch_model.bin"), pickled(&tensors()[..4]));
    for cut in [0, 3, 30, 100, good.len() / 2, good.len() - 1] {
        std::fs::write(&file, &good[..cut]).unwrap();
        refused(&folder.0, &["pytorch_model.bin"]);
    }
    for at in (0..1500).chain(good.len() - 300..good.len()) {
        let mut bytes = good.clone();
        bytes[at] ^= 0x55;
        std::fs::write(&file, bytes).unwrap();
        let _ = Model::load(&folder.0); // a tensor is missing in any case
    }
}

#[test]
fn folders_without_what_they_need_are_refused_by_name() {
    let empty = folder("empty");
    refused(&empty.0, &["neither model.safetensors"]);
    let shard = json!({"weight_map": {"a": "pytorch_model-00001-of-00002.bin"}}).to_string();
    std::fs::write(empty.0.join("pytorch_model.bin.index.json"), shard).unwrap();
    let error = Model::load(&empty.0).err().unwrap().to_string();
    assert!(error.contains("pytorch_model-00001-of-00002.bin"), "{error}");
    std::fs::remove_file(empty.0.join("pytorch_model.bin.index.json")).unwrap();
    let index = empty.0.join("model.safetensors.index.json");
    std::fs::write(&index, json!({"weight_map": {"a": "../elsewhere"}}).to_string()).unwrap();
    refused(&empty.0, &["../elsewhere", "index.json"]);
    std::fs::remove_file(&index).unwrap();
    let some: Vec<Tensor> = tensors().into_iter().filter(|one| one.0 != "transformer.ln_f.bias").collect();
    std::fs::write(empty.0.join("model.safetensors"), safetensors(&some)).unwrap();
    refused(&empty.0, &["transformer.ln_f.bias"]);
}
