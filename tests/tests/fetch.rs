//! `continuo models fetch` against a server of the Hub's layout: whole, cut, wrong, refused, forbidden; and that
//! the other commands find what was fetched, and nothing that is not whole.

mod golden;
mod hub;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use continuo_tests::require;
use hub::{COMMIT, Hub, Mood, REPOSITORY};
use serde_json::{Map, Value, json};

/// The binary, a server, and a cache of one test's own.
struct Place {
    continuo: PathBuf,
    hub: Arc<Hub>,
    folder: PathBuf,
}

/// What a command came to: exit code, document, messages.
struct Outcome {
    code: Option<i32>,
    document: Value,
    message: String,
}

impl Outcome {
    /// Fails with code 1, nothing printed, and every word in the message.
    fn refused(&self, words: &[&str]) {
        assert_eq!(self.code, Some(1), "{}", self.message);
        assert!(self.document.is_null(), "{}", self.document);
        for word in words {
            assert!(self.message.contains(word), "{word:?} is not in {}", self.message);
        }
    }

    fn came(&self, file: &str) -> &str {
        assert_eq!(self.code, Some(0), "{}", self.message);
        let files = self.document["files"].as_array().unwrap();
        files.iter().find(|one| one["name"] == file).unwrap()["came"].as_str().unwrap()
    }
}

impl Place {
    fn new(test: &str) -> Option<Self> {
        let here = std::env::current_exe().unwrap();
        let name = format!("continuo{}", std::env::consts::EXE_SUFFIX);
        let continuo = here.parent()?.parent()?.join(name);
        if !require::have(test, "binary", continuo.exists(), "make it with `cargo build -p continuo-service`")
        {
            return None;
        }
        let model = golden::folder().join("model");
        let read = |file: &str| std::fs::read(model.join(file)).unwrap();
        let hub = Hub::start([
            ("config.json".to_owned(), read("config_55030_prefixed.json")),
            ("model.safetensors".to_owned(), read("model_55030_prefixed.safetensors")),
        ]);
        let folder = std::env::temp_dir().join(format!("continuo-fetch-{}-{test}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Some(Self { continuo, hub, folder })
    }

    fn run(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Outcome {
        let mut command = Command::new(&self.continuo);
        for name in ["HF_HUB_CACHE", "HF_HUB_OFFLINE", "HF_TOKEN", "HTTP_PROXY", "http_proxy", "ALL_PROXY"] {
            command.env_remove(name);
        }
        command.env("XDG_DATA_HOME", self.folder.join("data")).env("HF_HOME", &self.folder);
        command.env("HF_ENDPOINT", self.hub.endpoint()).envs(variables.iter().copied());
        let output = command.args(arguments).output().unwrap();
        Outcome {
            code: output.status.code(),
            document: serde_json::from_slice(&output.stdout).unwrap_or(Value::Null),
            message: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    fn fetch(&self, name: &str) -> Outcome {
        self.run(&["models", "fetch", name], &[])
    }

    fn repository(&self) -> PathBuf {
        self.folder.join("hub/models--stanford-crfm--music-small-800k")
    }

    /// Names of the models that `list` shows, without the built-in one.
    fn listed(&self) -> Vec<String> {
        let list = self.run(&["models", "list"], &[]).document;
        let names = list["models"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().into());
        names.skip(1).collect()
    }

    /// No part of a model is taken for one.
    fn nothing_is_seen(&self) {
        assert_eq!(self.listed(), [""; 0]);
        let words = ["continuo models fetch small", "whole"];
        self.run(&["models", "path", "small"], &[]).refused(&words);
        self.run(&["models", "info", REPOSITORY], &[]).refused(&["stanford-crfm/music-small-800k"]);
    }

    fn served(&self, file: &str) -> Vec<u8> {
        self.hub.files.lock().unwrap()[file].clone()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A file of the newest snapshot, which is a link to a blob.
fn bytes(path: &Path) -> Vec<u8> {
    #[cfg(unix)]
    assert!(path.is_symlink(), "{}", path.display());
    std::fs::read(path).unwrap()
}

#[test]
fn a_model_is_fetched_once_and_found_by_every_command() {
    let Some(place) = Place::new("whole") else { return };
    let first = place.fetch("small");
    assert_eq!(first.came("model.safetensors"), "fetched", "{}", first.message);
    let snapshot = place.repository().join("snapshots").join(COMMIT);
    assert_eq!(first.document["path"], snapshot.to_str().unwrap());
    assert_eq!(first.document["commit"], COMMIT);
    for file in ["config.json", "model.safetensors"] {
        assert_eq!(bytes(&snapshot.join(file)), place.served(file));
    }
    let blobs = place.repository().join("blobs");
    assert!(blobs.join(hub::sha256(&place.served("model.safetensors"))).is_file());
    assert!(blobs.join(hub::blob(&place.served("config.json"))).is_file());
    assert_eq!(std::fs::read_to_string(place.repository().join("refs/main")).unwrap(), COMMIT);
    assert!(first.message.contains("MB") && first.message.contains("free"), "{}", first.message);

    place.hub.set(Mood::default());
    let second = place.fetch(REPOSITORY);
    assert_eq!((second.came("config.json"), second.came("model.safetensors")), ("cached", "cached"));
    assert_eq!(place.hub.ranges(), [], "nothing is fetched twice");

    assert_eq!(place.listed(), [REPOSITORY]);
    assert_eq!(place.run(&["models", "path", "small"], &[]).document["path"], first.document["path"]);
    let info = place.run(&["models", "info", REPOSITORY], &[]);
    assert_eq!(info.document["vocabulary"], 55_030);
    let demo = require::root().join("tests/phrases/demo.mid");
    let score = place.run(&["score", demo.to_str().unwrap(), "--model", "small"], &[("HF_HUB_OFFLINE", "1")]);
    assert!(score.document["nats_per_event"].as_f64().unwrap() > 0.0, "{}", score.message);
}

#[test]
fn a_cut_fetch_goes_on_where_it_ended() {
    let Some(place) = Place::new("cut") else { return };
    let size = place.served("model.safetensors").len();
    place.hub.set(Mood { cut: Some(5000), answers: Some(2), ..Mood::default() });
    let cut = place.fetch("small");
    cut.refused(&["model.safetensors", "10000 of", &size.to_string(), "same command"]);
    let range = |from: usize| Some(format!("bytes={from}-"));
    assert_eq!(place.hub.ranges(), [None, range(5000), range(10_000)]);
    place.nothing_is_seen();
    place.hub.set(Mood { cut: Some(size / 3), ..Mood::default() });
    let rest = place.fetch("small");
    assert_eq!(rest.came("model.safetensors"), "resumed");
    assert_eq!(place.hub.ranges()[0], range(10_000));
    assert!(place.hub.ranges().len() >= 3, "cut three times: {:?}", place.hub.ranges());
    let path = place.repository().join("snapshots").join(COMMIT).join("model.safetensors");
    assert_eq!(bytes(&path), place.served("model.safetensors"));
    assert_eq!(place.listed(), [REPOSITORY]);
}

#[test]
fn wrong_bytes_are_thrown_away() {
    let Some(place) = Place::new("wrong") else { return };
    let mut wrong = place.served("model.safetensors");
    wrong[70_000] ^= 1;
    place.hub.set(Mood { wrong: Some(wrong.clone()), ..Mood::default() });
    let good = hub::sha256(&place.served("model.safetensors"));
    place.fetch("small").refused(&["model.safetensors", "sha256", &hub::sha256(&wrong), &good, "deleted"]);
    place.nothing_is_seen();
    let blobs = std::fs::read_dir(place.repository().join("blobs")).unwrap();
    assert_eq!(blobs.count(), 1, "only the config is there");
    place.hub.set(Mood { wrong: Some([wrong, vec![0; 10]].concat()), ..Mood::default() });
    place.fetch("small").refused(&["more came than"]);
    place.hub.set(Mood::default());
    assert_eq!(place.fetch("small").came("model.safetensors"), "fetched");
}

#[test]
fn parts_that_do_not_fit_are_begun_anew() {
    let Some(place) = Place::new("anew") else { return };
    let (good, blobs) = (place.served("model.safetensors"), place.repository().join("blobs"));
    std::fs::create_dir_all(&blobs).unwrap();
    let part = blobs.join(format!("{}.incomplete", hub::sha256(&good)));
    // The server knows no ranges.
    std::fs::write(&part, &good[..9000]).unwrap();
    place.hub.set(Mood { no_ranges: true, ..Mood::default() });
    assert_eq!(place.fetch("small").came("model.safetensors"), "resumed");
    std::fs::remove_dir_all(place.repository()).unwrap();
    std::fs::create_dir_all(&blobs).unwrap();
    // More is there than there should be.
    std::fs::write(&part, [&good[..], b"more"].concat()).unwrap();
    place.hub.set(Mood::default());
    assert_eq!(place.fetch("small").came("model.safetensors"), "fetched");
    // Something else is there: the sum says so, and the next fetch is sound.
    std::fs::remove_dir_all(place.repository()).unwrap();
    std::fs::create_dir_all(&blobs).unwrap();
    std::fs::write(&part, vec![7; 9000]).unwrap();
    place.fetch("small").refused(&["checksum"]);
    assert_eq!(place.fetch("small").came("model.safetensors"), "fetched");
}

#[test]
fn shards_come_by_their_index() {
    let Some(place) = Place::new("shards") else { return };
    let whole = place.served("model.safetensors");
    for (index, ending) in
        [("model.safetensors.index.json", "safetensors"), ("pytorch_model.bin.index.json", "bin")]
    {
        let names = [1, 2].map(|n| format!("part-{n}-of-2.{ending}"));
        let map =
            [("a", 0), ("b", 1), ("c", 0)].map(|(tensor, shard)| (tensor.to_owned(), json!(names[shard])));
        let map: Map<String, Value> = map.into_iter().collect();
        let mut files = place.hub.files.lock().unwrap();
        files.retain(|name, _| name == "config.json");
        files.insert(index.into(), json!({"weight_map": map}).to_string().into_bytes());
        files.insert(names[0].clone(), whole[..40_000].to_vec());
        drop(files);
        place.fetch("small").refused(&[index, &names[1], "not there"]);
        place.nothing_is_seen();
        place.hub.files.lock().unwrap().insert(names[1].clone(), whole[40_000..].to_vec());
        let all = place.fetch("small");
        assert_eq!((all.came(&names[0]), all.came(&names[1])), ("fetched", "fetched"));
        assert_eq!(place.listed(), [REPOSITORY]);
        std::fs::remove_dir_all(place.repository()).unwrap();
    }
    let evil = json!({"weight_map": {"a": "../../../evil.bin"}}).to_string().into_bytes();
    place.hub.files.lock().unwrap().insert("model.safetensors.index.json".into(), evil);
    place.fetch("small").refused(&["../../../evil.bin", "no file of its folder"]);
}

#[test]
fn what_the_server_refuses_is_said_with_a_way_out() {
    let Some(place) = Place::new("refused") else { return };
    place.fetch("nobody/nothing").refused(&["nobody/nothing", "check its name"]);
    place.fetch("small@v9").refused(&["\"v9\"", REPOSITORY, "branches"]);
    place.fetch("../etc").refused(&["../etc", "owner/name"]);
    place.fetch("default").refused(&["built in"]);
    place.hub.set(Mood { gated: true, ..Mood::default() });
    place.fetch("small").refused(&["accepted its terms", REPOSITORY, "HF_TOKEN"]);
    place.hub.set(Mood { token: Some("secret".into()), ..Mood::default() });
    place.fetch("small").refused(&["401", "HF_TOKEN", REPOSITORY]);
    let fetch = ["models", "fetch", "small"];
    place.run(&fetch, &[("HF_TOKEN", "stale")]).refused(&["401", "token in HF_TOKEN"]);
    assert_eq!(place.run(&fetch, &[("HF_TOKEN", "secret")]).came("model.safetensors"), "fetched");
    let requests = place.hub.requests.lock().unwrap().clone();
    let shown = |request: &&hub::Request| request.cdn && request.authorization.is_some();
    assert!(requests.iter().any(|request| request.cdn));
    assert_eq!(requests.iter().filter(shown).count(), 0, "the token is for the Hub alone");
    place.hub.set(Mood { foreign: true, ..Mood::default() });
    place.fetch("small@v1").refused(&["HF_ENDPOINT", "no Hub"]);
    let nowhere = [("HF_ENDPOINT", "http://127.0.0.1:1")];
    place.run(&fetch, &nowhere).refused(&["cannot reach http://127.0.0.1:1", "HF_ENDPOINT"]);
}

#[test]
fn without_the_network_only_what_is_there_is_found() {
    let Some(place) = Place::new("offline") else { return };
    let fetch = ["models", "fetch", "small"];
    let offline = [("HF_HUB_OFFLINE", "1")];
    place.run(&fetch, &offline).refused(&["HF_HUB_OFFLINE", REPOSITORY, "unset"]);
    assert!(place.hub.requests.lock().unwrap().is_empty(), "nobody was asked");
    let path = place.fetch("small").document["path"].clone();
    place.hub.set(Mood::default());
    assert_eq!(place.run(&fetch, &offline).document["path"], path);
    assert!(place.hub.requests.lock().unwrap().is_empty());
    let elsewhere = place.folder.join("elsewhere");
    let cache = [("HF_HUB_CACHE", elsewhere.to_str().unwrap())];
    assert_eq!(place.run(&fetch, &cache).came("model.safetensors"), "fetched");
    assert!(elsewhere.join("models--stanford-crfm--music-small-800k/blobs").is_dir());
}

#[test]
fn a_model_of_another_kind_is_not_fetched_for_nothing() {
    let Some(place) = Place::new("foreign") else { return };
    let relu = json!({"n_layer": 2, "n_head": 2, "n_embd": 8, "activation_function": "relu"}).to_string();
    place.hub.files.lock().unwrap().insert("config.json".into(), relu.into_bytes());
    place.fetch("small").refused(&["relu", "nothing else was fetched"]);
    assert_eq!(place.hub.ranges(), []);
    place.hub.files.lock().unwrap().remove("config.json");
    place.fetch("small").refused(&["no config.json"]);
    let config = std::fs::read(golden::folder().join("model/config_inv.json")).unwrap();
    *place.hub.files.lock().unwrap() = [("config.json".to_owned(), config)].into();
    place.fetch("small").refused(&["model.safetensors", "none of"]);
    place.nothing_is_seen();
}

#[test]
fn revisions_are_kept_apart() {
    let Some(place) = Place::new("revisions") else { return };
    for revision in ["v1", "refs/pr/1"] {
        let name = format!("small@{revision}");
        assert_eq!(place.fetch(&name).document["commit"], COMMIT);
        let kept = std::fs::read_to_string(place.repository().join("refs").join(revision));
        assert_eq!(kept.unwrap(), COMMIT);
        assert_eq!(place.run(&["models", "path", &name], &[]).code, Some(0));
    }
    place.run(&["models", "path", "small@v2"], &[]).refused(&["small@v2"]);
    let commit = format!("small@{COMMIT}");
    assert_eq!(place.fetch(&commit).came("model.safetensors"), "cached");
    assert!(!place.repository().join("refs").join(COMMIT).exists());
}
