//! The `continuo` binary as a user or a script calls it: documents, messages and exit codes.

mod golden;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use continuo_tests::place::Place;
use continuo_tests::require;
use serde_json::{Value, json};

/// The binary beside this test's folder, as `cargo build --workspace` leaves it.
fn binary(test: &str) -> Option<PathBuf> {
    let folder = std::env::current_exe().unwrap();
    let path = folder.parent()?.parent()?.join(format!("continuo{}", std::env::consts::EXE_SUFFIX));
    let there = path.exists();
    require::have(test, "binary", there, "make it with `cargo build -p continuo-service`").then_some(path)
}

fn run(binary: &Path, arguments: &[&str]) -> Output {
    Command::new(binary).args(arguments).output().expect("the binary runs")
}

/// The document that a command prints.
fn document(binary: &Path, arguments: &[&str]) -> Value {
    let output = run(binary, arguments);
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {message}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{arguments:?}: {error}"))
}

/// Fails with code 1, nothing on stdout, and `word` in the message.
fn fails(binary: &Path, arguments: &[&str], word: &str) {
    let output = run(binary, arguments);
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {message}");
    assert!(output.stdout.is_empty(), "{arguments:?}");
    assert!(message.contains(word), "{arguments:?}: {message}");
}

fn phrase(name: &str) -> String {
    require::root().join("tests/phrases").join(name).to_str().unwrap().to_owned()
}

#[test]
fn tokens_are_the_references_for_every_file() {
    let Some(continuo) = binary("tokens") else { return };
    let place = Place::new("cli-tokens");
    let mut refused = 0;
    for entry in std::fs::read_dir(golden::folder().join("midi")).unwrap() {
        let file = golden::read(&format!("midi/{}", entry.unwrap().file_name().to_str().unwrap()));
        let path = place.file("a.mid", golden::base64(file["midi_b64"].as_str().unwrap()));
        let output = run(&continuo, &["tokens", &path]);
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        if file["compound"]["ok"].is_null() {
            assert_eq!(output.status.code(), Some(2), "{}", file["name"]);
            assert!(document["error"].as_str().unwrap().contains("a.mid"), "{document}");
            refused += 1;
        } else {
            assert_eq!(output.status.code(), Some(0), "{}", file["name"]);
            assert_eq!(document["compound"], file["compound"]["ok"], "{}", file["name"]);
            assert_eq!(golden::numbers(&document["events"]), golden::numbers(&file["events"]["ok"]));
        }
    }
    assert!(refused > 3, "only {refused} were refused");
    assert_eq!(run(&continuo, &["tokens", &place.path("absent.mid")]).status.code(), Some(2));
}

#[test]
fn logits_and_hidden_states_are_the_references() {
    let Some(continuo) = binary("logits") else { return };
    let (place, folder) = (Place::new("cli-logits"), golden::Folder::of("cli-logits", "config_inv.json"));
    let model = folder.0.to_str().unwrap();
    let file = golden::read("logits/logits.json");
    let vectors = file["vectors"].as_array().unwrap();
    let mine = vectors.iter().filter(|vector| vector["config"] == "config_inv.json").take(3);
    for vector in mine {
        let ids = place.file("ids.json", vector["ids"].to_string());
        let document = document(&continuo, &["logits", "--model", model, "--tokens", &ids, "--hidden"]);
        let logits = golden::singles(&document["logits"]);
        for (row, theirs) in vector["sampled"].as_object().unwrap() {
            let ours = logits[row.parse::<usize>().unwrap()];
            golden::near(row, &[ours], &[theirs.as_f64().unwrap() as f32]);
        }
        let layers = document["hidden"].as_array().unwrap();
        assert_eq!(layers.len(), 5);
        for (ours, theirs) in layers.iter().zip(vector["hidden"].as_array().unwrap()) {
            for part in ["mean", "last"] {
                golden::near(part, &golden::singles(&ours[part]), &golden::singles(&theirs[part]));
            }
        }
    }
    let nonsense = place.file("ids.json", "[99999]");
    fails(&continuo, &["logits", "--model", model, "--tokens", &nonsense], "99999");
    fails(&continuo, &["logits", "--tokens", &place.file("object.json", "{}")], "a list of token numbers");
    fails(&continuo, &["logits", "--model", "/no/model", "--tokens", &nonsense], "/no/model");
}

#[test]
fn exact_samples_are_the_references() {
    let Some(continuo) = binary("sample") else { return };
    let place = Place::new("cli-sample");
    let runs = golden::read("gen/gpt2.json");
    let runs = runs.as_array().unwrap();
    for name in ["config_inv.json", "config_plain.json"] {
        let folder = golden::Folder::of("cli-sample", name);
        for run in runs.iter().filter(|run| run["model"]["config"] == name) {
            let mut request = run["kwargs"].clone();
            request["top_p"] = run["top_p"].clone();
            request["uniforms"] = run.get("uniforms").cloned().unwrap_or(Value::Null);
            let request = place.file("request.json", request.to_string());
            let model = folder.0.to_str().unwrap();
            let answer = document(&continuo, &["sample", "--exact", "--model", model, "--request", &request]);
            assert_eq!(answer["ok"], run["result"]["ok"], "{}", run["name"]);
            assert_eq!(answer["sampled_tokens"], run["sampled_tokens"], "{}", run["name"]);
        }
    }
    let unknown = place.file("request.json", json!({"end": 3}).to_string());
    fails(&continuo, &["sample", "--exact", "--request", &unknown], "request.json");
    assert_eq!(run(&continuo, &["sample", "--request", &unknown]).status.code(), Some(2));
}

#[test]
fn models_are_found_by_name_in_the_models_folder_and_in_the_cache() {
    let Some(continuo) = binary("models") else { return };
    let (place, folder) =
        (Place::new("cli-models"), golden::Folder::of("cli-models", "config_55030_prefixed.json"));
    let (mine, theirs) = ("data/continuo/models/small", "hf/hub/models--stanford-crfm--music-x-800k");
    for file in ["config.json", "model.safetensors"] {
        let bytes = std::fs::read(folder.0.join(file)).unwrap();
        place.file(&format!("{mine}/{file}"), &bytes);
        place.file(&format!("{theirs}/snapshots/abc/{file}"), &bytes);
    }
    place.file(&format!("{theirs}/refs/main"), "abc\n");
    let run = |arguments: &[&str]| {
        let (data, hub) = (place.path("data"), place.path("hf"));
        let mut command = Command::new(&continuo);
        command.args(arguments).env("XDG_DATA_HOME", data).env("HF_HOME", hub).env_remove("HF_HUB_CACHE");
        let output = command.output().unwrap();
        let document = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
        (output.status.code(), document, String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (_, list, _) = run(&["models", "list"]);
    let names: Vec<_> = list["models"].as_array().unwrap().iter().map(|one| one["name"].clone()).collect();
    assert_eq!(names, ["default", "small", "stanford-crfm/music-x-800k"]);
    let (_, path, _) = run(&["models", "path", "stanford-crfm/music-x-800k"]);
    assert_eq!(path["path"], place.path(&format!("{theirs}/snapshots/abc")));
    let (code, info, _) = run(&["models", "info", "small"]);
    assert_eq!((code, &info["vocabulary"], &info["layers"]), (Some(0), &json!(55030), &json!(2)));
    let (code, _, message) = run(&["models", "info", "absent"]);
    assert!(code == Some(1) && message.contains("absent") && message.contains("models list"), "{message}");
}

#[test]
fn a_song_goes_on() {
    let Some(continuo) = binary("continue") else { return };
    let place = Place::new("cli-continue");
    let (out, again) = (place.path("out.mid"), place.path("again.mid"));
    let demo = phrase("demo.mid");
    let document = document(&continuo, &["continue", &demo, "-o", &out, "--bars", "1"]);
    assert!(document["answer_notes"].as_u64().unwrap() > 0, "{document}");
    run(&continuo, &["continue", &demo, "-o", &again, "--bars", "1"]);
    assert_eq!(std::fs::read(&out).unwrap(), std::fs::read(&again).unwrap(), "a seed repeats");
    fails(&continuo, &["continue", &place.path("absent.mid"), "-o", &out], "absent.mid");
    fails(&continuo, &["continue", &demo, "-o", &out, "--temperature", "9"], "--temperature");
}

/// Notes of a file as `continuo tokens` gives them: onset, duration, key, instrument, velocity.
fn notes(binary: &Path, path: &str) -> Vec<Vec<i64>> {
    let document = document(binary, &["tokens", path]);
    golden::numbers(&document["compound"]).chunks(5).map(<[i64]>::to_vec).collect()
}

#[test]
fn music_is_made_alone_and_along() {
    let Some(continuo) = binary("generate and accompany") else { return };
    let place = Place::new("cli-alone");
    let (out, wave) = (place.path("out.mid"), place.path("out.wav"));
    let alone = ["generate", "--instruments", "33,128", "--bars", "2", "-o", &out, "--render", &wave];
    document(&continuo, &alone);
    let made = notes(&continuo, &out);
    // Two bars of four quarters at 120: 4 s.
    assert!(made.iter().all(|note| [33, 128].contains(&note[3]) && note[0] < 400), "{made:?}");
    assert_eq!(&std::fs::read(&wave).unwrap()[..4], b"RIFF");
    let demo = phrase("demo.mid");
    document(&continuo, &["accompany", &demo, "--instruments", "33", "-o", &out]);
    let (theirs, made) = (notes(&continuo, &demo), notes(&continuo, &out));
    let melody: Vec<_> = made.iter().filter(|note| note[3] == 0).cloned().collect();
    assert_eq!(melody, theirs, "the melody stays as it is");
    assert!(made.iter().any(|note| note[3] == 33), "{made:?}");
    fails(&continuo, &["accompany", &place.path("absent.mid"), "-o", &out], "absent.mid");
    fails(&continuo, &["generate", "--top-p", "2", "-o", &out], "--top-p");
    assert_eq!(run(&continuo, &["generate", "--instruments", "129", "-o", &out]).status.code(), Some(2));
    fails(&continuo, &["generate", "--bars", "1", "-o", &place.path("no/such/out.mid")], "no/such");
}

#[test]
fn bars_are_bridged_and_varied_and_all_others_stay() {
    let Some(continuo) = binary("bridge and vary") else { return };
    let place = Place::new("cli-between");
    let (out, demo) = (place.path("out.mid"), phrase("demo.mid"));
    let report = document(&continuo, &["bridge", &demo, &demo, "--bars", "2", "-o", &out]);
    let gap = report["answer_to_beat"].as_f64().unwrap() - report["answer_from_beat"].as_f64().unwrap();
    assert!((gap - 8.0).abs() < 1e-9, "{report}");
    let (theirs, made) = (notes(&continuo, &demo), notes(&continuo, &out));
    assert_eq!(made.len() as u64, 2 * theirs.len() as u64 + report["answer_notes"].as_u64().unwrap());
    assert_eq!(made[..theirs.len()], theirs[..], "the first file stays as it is");
    let keys = |notes: &[Vec<i64>]| {
        let mut keys: Vec<i64> = notes.iter().map(|note| note[2]).collect();
        keys.sort_unstable();
        keys
    };
    assert_eq!(keys(&made[made.len() - theirs.len()..]), keys(&theirs), "so does the second");
    document(&continuo, &["vary", &demo, "--from", "2", "-o", &out]);
    let made = notes(&continuo, &out);
    // A bar at 108 is 222.2 ticks of 10 ms.
    let outside = |notes: &[Vec<i64>]| -> Vec<_> {
        notes.iter().filter(|note| !(222..444).contains(&note[0])).cloned().collect()
    };
    assert_eq!(outside(&made), outside(&theirs));
    assert_ne!(made, theirs);
    fails(&continuo, &["vary", &demo, "--from", "90", "-o", &out], "--from");
    fails(&continuo, &["bridge", &demo, &place.path("absent.mid"), "-o", &out], "absent.mid");
}

/// A track of a file of 480 ticks a beat.
fn track(events: &[(u8, &[u8])]) -> Vec<u8> {
    // Deltas are in beats: 480 is 0x83 0x60 as a number of MIDI, for up to four beats.
    let delta = |beats: u8| match beats {
        0 => vec![0],
        beats => vec![0x80 | (480 * u32::from(beats) >> 7) as u8, (480 * u32::from(beats) & 0x7f) as u8],
    };
    let bytes: Vec<u8> =
        events.iter().flat_map(|(beats, bytes)| [delta(*beats), bytes.to_vec()].concat()).collect();
    [b"MTrk", &(bytes.len() as u32 + 4).to_be_bytes()[..], &bytes, &[0, 0xff, 0x2f, 0]].concat()
}

fn file(tracks: &[Vec<u8>]) -> Vec<u8> {
    let head = [b"MThd\0\0\0\x06\0\x01\0", &[tracks.len() as u8, 1, 0xe0][..]].concat();
    [head, tracks.concat()].concat()
}

#[test]
fn songs_without_end_are_refused() {
    let Some(continuo) = binary("endless") else { return };
    let place = Place::new("cli-endless");
    let out = place.path("out.mid");
    // A note, and another after 268 million ticks: 559 thousand beats.
    let far = track(&[
        (0, &[0x90, 60, 80]),
        (1, &[0x80, 60, 0]),
        (0, &[0xff, 1, 0, 0xff, 0xff, 0xff, 0x7f, 0x90, 60, 80]),
    ]);
    let far = place.file("far.mid", file(&[far]));
    for command in ["continue", "accompany"] {
        fails(&continuo, &[command, &far, "-o", &out], "far.mid lasts");
    }
    // 100,000 beats at 4 a minute are 17 days: they can be played, and are no WAV file.
    let slow = track(&[
        (0, &[0xff, 0x51, 3, 0xe4, 0xe1, 0xc0]),
        (0, &[0x90, 60, 80]),
        (1, &[0x80, 60, 0]),
        (0, &[0xff, 1, 0, 0x97, 0xb7, 0xc4, 0, 0x90, 62, 80]),
        (1, &[0x80, 62, 0]),
    ]);
    let slow = place.file("slow.mid", file(&[slow]));
    let wave = place.path("slow.wav");
    fails(&continuo, &["continue", &slow, "-o", &out, "--bars", "1", "--render", &wave], "--render");
    assert!(!Path::new(&wave).exists());
    let folder = golden::Folder::of("cli-endless", "config_inv.json");
    fails(&continuo, &["score", &slow, "--model", folder.0.to_str().unwrap()], "a day");
}

/// Four bars of piano (channel 1) and bass (program 32, channel 2) in tracks of their own.
fn duo() -> Vec<u8> {
    let part = |channel: u8, program: u8, key: u8| {
        let mut events: Vec<(u8, Vec<u8>)> =
            vec![(0, vec![0xc0 | channel, program]), (0, vec![0xb0 | channel, 7, 90])];
        for bar in 0..4 {
            for step in [0, 4] {
                events.push((0, vec![0x90 | channel, key + bar + step, 80]));
                events.push((2, vec![0x80 | channel, key + bar + step, 0]));
            }
        }
        track(&events.iter().map(|(beats, bytes)| (*beats, &bytes[..])).collect::<Vec<_>>())
    };
    file(&[track(&[(0, &[0xff, 0x51, 3, 0x07, 0xa1, 0x20])]), part(0, 0, 60), part(1, 32, 36)])
}

#[test]
fn a_part_of_a_file_can_be_the_melody() {
    let Some(continuo) = binary("melody") else { return };
    let place = Place::new("cli-melody");
    let (duo, out) = (place.file("duo.mid", duo()), place.path("out.mid"));
    let all = notes(&continuo, &duo);
    let piano: Vec<_> = all.iter().filter(|note| note[3] == 0).cloned().collect();
    let bass: Vec<_> = all.iter().filter(|note| note[3] == 32).cloned().collect();
    assert_eq!((piano.len(), bass.len()), (8, 8));
    for (part, melody, other) in [("0", &piano, "32"), ("channel=1", &piano, "32"), ("track=3", &bass, "0")] {
        let along = ["accompany", &duo, "--melody", part, "--instruments", other, "-o", &out];
        let report = document(&continuo, &along);
        assert_eq!(report["prompt_notes"], 8, "{part}");
        let made = notes(&continuo, &out);
        let kept: Vec<_> = made.iter().filter(|note| note[3] == melody[0][3]).cloned().collect();
        assert_eq!(&kept, melody, "{part}");
        assert_eq!(made.len() as u64, 8 + report["answer_notes"].as_u64().unwrap(), "{part}");
        assert!(made.iter().any(|note| note[3].to_string() == other), "{part}");
    }
    fails(
        &continuo,
        &["accompany", &duo, "--melody", "5", "-o", &out],
        "track=3 channel=2 program=[32] (8 notes)",
    );
    let wrong = run(&continuo, &["accompany", &duo, "--melody", "voice=1", "-o", &out]);
    assert_eq!(wrong.status.code(), Some(2));
}

#[test]
fn a_bridge_leads_to_the_second_files_own_tempo() {
    let Some(continuo) = binary("bridge tempo") else { return };
    let place = Place::new("cli-tempo");
    let (demo, out) = (phrase("demo.mid"), place.path("out.mid"));
    // 60 a minute, at its second bar of three quarters 200, and marimba on the channel of the demo's piano.
    let slow = track(&[
        (0, &[0xff, 0x51, 3, 0x0f, 0x42, 0x40]),
        (0, &[0xff, 0x58, 4, 3, 2, 24, 8]),
        (0, &[0xc0, 12]),
        (0, &[0x90, 72, 80]),
        (1, &[0x80, 72, 0]),
        (2, &[0xff, 0x51, 3, 0x04, 0x93, 0xe0]),
        (0, &[0x90, 74, 80]),
        (1, &[0x80, 74, 0]),
    ]);
    let slow = place.file("slow.mid", file(&[slow]));
    let report = document(&continuo, &["bridge", &demo, &slow, "--bars", "1", "-o", &out]);
    assert_eq!(report["answer_from_beat"], 16.0);
    let tempos: Vec<(f64, i64)> = report["tempos"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tempo| (tempo["beat"].as_f64().unwrap(), tempo["bpm"].as_f64().unwrap().round() as i64))
        .collect();
    assert_eq!(tempos, [(0.0, 108), (20.0, 60), (23.0, 200)]);
    let made = notes(&continuo, &out);
    // Twenty beats at 108 are 1111 ticks of 10 ms; then a second a beat.
    let marimba: Vec<_> =
        made.iter().filter(|note| note[3] == 12).map(|note| [note[0], note[1], note[2]]).collect();
    assert_eq!(marimba, [[1111, 100, 72], [1411, 30, 74]]);
    let theirs = notes(&continuo, &demo);
    assert_eq!(made[..theirs.len()], theirs[..], "the first file stays as it is, instruments included");
}

#[test]
fn music_is_listened_to() {
    let Some(continuo) = binary("embed and score") else { return };
    let (place, folder) = (Place::new("cli-listen"), golden::Folder::of("cli-listen", "config_inv.json"));
    let model = folder.0.to_str().unwrap();
    let pieces = golden::read("logits/embed_server_style.json");
    for piece in pieces.as_array().unwrap() {
        let midi = golden::read(&format!("midi/{}.json", piece["midi"].as_str().unwrap()));
        let path = place.file("a.mid", golden::base64(midi["midi_b64"].as_str().unwrap()));
        let ours = document(&continuo, &["embed", &path, "--model", model]);
        if piece["midi"] == "beyond_100s" {
            // What was deployed goes on where onsets have no tokens any more; we stop there.
            assert_eq!(ours["tokens"], 3);
        } else {
            assert_eq!(ours["tokens"], piece["n_tokens"], "{}", piece["midi"]);
            let theirs = golden::singles(&piece["layers"]["-3"]);
            golden::near(&piece["midi"].to_string(), &golden::singles(&ours["embedding"]), &theirs);
        }
        let score = document(&continuo, &["score", &path, "--model", model]);
        let nats = golden::floats(&score["nats"]);
        assert_eq!(nats.len() * 3, golden::numbers(&midi["events"]["ok"]).len());
        assert!(nats.iter().all(|nats| nats.is_finite() && *nats > 0.0), "{nats:?}");
    }
    let demo = phrase("demo.mid");
    let score = document(&continuo, &["score", &demo]);
    // Three tokens drawn blindly from their rows would cost ln(10000 * 1000 * 16513) = 25.8 nats.
    assert!(score["nats_per_event"].as_f64().unwrap() < 15.0, "{score}");
    fails(&continuo, &["embed", &demo, "--layer", "9"], "layer 9");
    fails(&continuo, &["score", &place.path("absent.mid")], "absent.mid");
}
