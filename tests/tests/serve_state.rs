//! What outlives the process: files by hash, artifacts, jobs; also when it is killed, or its disk is full.

mod serving;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use serde_json::{Value, json};
use serving::{Answer, Serving, encode, phrase};
use sha2::{Digest, Sha256};

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn put(service: &Serving, bytes: &[u8], kind: &str) -> Answer {
    let request = serving::agent().put(format!("{}/cas/{}", service.url, hash(bytes)));
    serving::read(request.header("content-type", kind).send(bytes))
}

fn get(service: &Serving, hash: &str, headers: &[(&str, &str)]) -> (u16, Vec<u8>, Answer) {
    let mut request = serving::agent().get(format!("{}/cas/{hash}", service.url));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = serving::read(request.call());
    (answer.status, answer.bytes.clone(), answer)
}

#[test]
fn a_file_is_stored_once_and_given_whole_or_in_part() {
    let Some(service) = Serving::new("cas", &[]) else { return };
    let file = phrase("demo.mid");
    let name = hash(&file);
    let first = put(&service, &file, "application/octet-stream");
    assert_eq!((first.status, &first.body["hash"]), (201, &json!(name)));
    assert_eq!((&first.body["mime_type"], &first.body["size"]), (&json!("audio/midi"), &json!(file.len())));
    assert_eq!(put(&service, &file, "audio/midi").status, 200);
    let again = serving::read(serving::agent().post(format!("{}/cas", service.url)).send(&file[..]));
    assert_eq!((again.status, &again.body["hash"]), (200, &json!(name)));

    let (status, whole, answer) = get(&service, &name, &[]);
    assert_eq!((status, &whole), (200, &file));
    assert_eq!(answer.header("etag"), format!("\"{name}\""));
    assert_eq!(answer.header("content-type"), "audio/midi");
    for (range, from, to) in
        [("bytes=4-9", 4, 10), ("bytes=10-", 10, file.len()), ("bytes=-7", file.len() - 7, file.len())]
    {
        let (status, part, answer) = get(&service, &name, &[("range", range)]);
        assert_eq!((status, &part[..]), (206, &file[from..to]), "{range}");
        assert_eq!(answer.header("content-range"), format!("bytes {from}-{}/{}", to - 1, file.len()));
        assert_eq!(answer.header("content-type"), "audio/midi", "{range}");
    }
    let (status, _, outside) = get(&service, &name, &[("range", "bytes=999999-")]);
    assert_eq!((status, outside.header("content-range")), (416, format!("bytes */{}", file.len()).as_str()));
    assert_eq!(get(&service, &name, &[("if-none-match", &format!("\"{name}\""))]).0, 304);
    let head = serving::read(serving::agent().head(format!("{}/cas/{name}", service.url)).call());
    assert_eq!((head.status, head.header("content-length")), (200, file.len().to_string().as_str()));
    assert_eq!(head.header("content-type"), "audio/midi");

    // A page that was stored is no page of this service.
    let page = b"<script>alert(1)</script>";
    assert_eq!(put(&service, page, "text/html").status, 201);
    let (_, _, answer) = get(&service, &hash(page), &[]);
    assert_eq!(
        (answer.header("content-type"), answer.header("x-content-type-options")),
        ("text/html", "nosniff")
    );
    assert!(answer.header("content-security-policy").contains("sandbox"));
    assert_eq!(answer.header("content-disposition"), "attachment");

    let wrong = serving::agent().put(format!("{}/cas/{}", service.url, "0".repeat(64)));
    serving::read(wrong.send(&file[..])).is_problem(422, "invalid_request");
    for path in ["/cas/..%2f..%2fetc%2fpasswd", "/cas/..", &format!("/cas/{}", "A".repeat(64))] {
        assert!((400..500).contains(&service.get(path).status), "{path}");
    }
    service.get(&format!("/cas/{}", "0".repeat(64))).is_problem(404, "invalid_request");
}

#[test]
fn answers_are_artifacts_with_tags_sets_and_parents() {
    let Some(service) = Serving::new("artifacts", &[]) else { return };
    let made = service.predict(&json!({
        "length_seconds": 3, "seed": 3, "num_variations": 3, "tags": ["mine"], "creator": "agent_a"
    }));
    let set = made["metadata"]["variation_set_id"].as_str().unwrap();
    let listed = service.get(&format!("/artifacts?variation_set_id={set}")).body;
    assert_eq!(listed["artifacts"].as_array().unwrap().len(), 3);
    let first = &made["variations"][0];
    let id = first["artifact_id"].as_str().unwrap();
    let artifact = service.get(&format!("/artifacts/{id}")).body;
    assert_eq!(artifact["content_hash"], first["output_hash"]);
    // The same files once more are a set too.
    let again = json!({ "length_seconds": 3, "seed": 3, "num_variations": 3 });
    let other = service.predict(&again)["metadata"]["variation_set_id"].as_str().unwrap().to_owned();
    let members = service.get(&format!("/artifacts?variation_set_id={other}")).body;
    assert_eq!((other == set, members["artifacts"].as_array().unwrap().len()), (false, 3));
    assert!(first["output_hash"].as_str().unwrap().starts_with(id.strip_prefix("artifact_").unwrap()));
    assert_eq!(
        artifact["tags"],
        json!(["format:mid", "mine", "phase:generation", "tool:generate", "type:midi"])
    );
    assert_eq!((&artifact["creator"], &artifact["metadata"]["seed"]), (&json!("agent_a"), &json!(3)));

    // What is made from it is its child, and so on.
    let child = service.predict(&json!({
        "task": "continue", "input_hash": first["output_hash"], "length_seconds": 2, "prime_seconds": 3, "seed": 1
    }));
    let grandchild = service.predict(&json!({
        "task": "continue", "input_hash": child["output_hash"], "length_seconds": 2, "prime_seconds": 5, "seed": 2
    }));
    let name = |answer: &Value| answer["variations"][0]["artifact_id"].as_str().unwrap().to_owned();
    let chain = service.get(&format!("/artifacts/{}/ancestors", name(&grandchild))).body;
    let chain: Vec<&Value> = chain["artifacts"].as_array().unwrap().iter().map(|one| &one["id"]).collect();
    assert_eq!(chain, [&json!(name(&child)), &json!(id)]);
    let found = service.get("/artifacts?tags=mine,type:midi&creator=agent_a&limit=2").body;
    assert_eq!(found["artifacts"].as_array().unwrap().len(), 2);
    let rest = service.get(&format!("/artifacts?tags=mine&limit=2&before={}", found["next"])).body;
    assert_eq!(rest["artifacts"].as_array().unwrap().len(), 1);
    assert!(rest.get("next").is_none());

    // Files that were sent have artifacts when somebody names them.
    let file = phrase("demo.mid");
    put(&service, &file, "audio/midi");
    // What stands in the metadata is the caller's own, whatever its fields are called.
    let own = json!({ "by": "hand", "params": [1], "history": ["x"], "metadata": 2 });
    let new =
        json!({ "content_hash": hash(&file), "tags": ["phase:input"], "metadata": own, "parent_id": id });
    let named = service.post("/artifacts", &new);
    assert_eq!((named.status, &named.body["metadata"]), (201, &own), "{}", named.text);
    let more = service.post("/artifacts", &json!({ "content_hash": hash(&file), "tags": ["again"] }));
    assert_eq!((more.status, &more.body["tags"]), (200, &json!(["again", "phase:input"])));
    for wrong in [
        json!({ "content_hash": "0".repeat(64) }),
        json!({ "content_hash": "../../x" }),
        json!({ "content_hash": hash(&file), "tags": ["a,b"] }),
        json!({ "content_hash": hash(b"other"), "parent_id": "artifact_none" }),
        json!({ "content_hash": hash(&file), "metadata": [1] }),
    ] {
        service.post("/artifacts", &wrong).is_problem(422, "invalid_request");
    }
    let orphan = json!({ "length_seconds": 1, "seed": 1, "parent_id": "artifact_none" });
    service.post("/predict", &orphan).is_problem(422, "invalid_request");
    // At once, and not when its music is made.
    service.post("/jobs", &orphan).is_problem(422, "invalid_request");
    service.get("/artifacts/artifact_none").is_problem(404, "invalid_request");
    service.get("/artifacts?limit=0").is_problem(422, "invalid_request");
}

#[test]
fn facts_are_those_that_are_asked_for() {
    let Some(service) = Serving::new("facts", &[]) else { return };
    let body = |analyses: Value| json!({ "length_seconds": 3, "seed": 3, "analyses": analyses });
    let none = service.predict(&body(json!([])));
    assert!(none["variations"][0].get("analysis").is_none() && none["metadata"].get("note_count").is_none());
    let two = service.predict(&body(json!(["note_count", "estimated_key"])));
    let fields: Vec<&String> = two["variations"][0]["analysis"].as_object().unwrap().keys().collect();
    assert_eq!(fields, ["estimated_key", "note_count"]);
}

/// What a service said that it did.
#[derive(Default)]
struct Said {
    files: BTreeMap<String, Vec<u8>>,
    answers: Vec<String>,
    jobs: Vec<String>,
    complete: Vec<(String, Value)>,
    artifacts: Vec<String>,
}

/// Asks for all kinds of things until the service is gone; notes only what was acknowledged.
fn press(url: &str, said: &Mutex<Said>, gone: &AtomicBool, turn: &AtomicU64) {
    let agent = serving::agent();
    let post = |path: &str, body: Value| -> Option<Value> {
        let sent = agent.post(format!("{url}{path}")).header("content-type", "application/json");
        let mut answer = sent.send(body.to_string()).ok().filter(|answer| answer.status().is_success())?;
        let mut text = String::new();
        answer.body_mut().as_reader().read_to_string(&mut text).ok()?;
        serde_json::from_str(&text).ok()
    };
    while !gone.load(Ordering::Relaxed) {
        let number = turn.fetch_add(1, Ordering::Relaxed);
        match number % 4 {
            0 => {
                let file = format!("file {number}").repeat(500).into_bytes();
                let name = hash(&file);
                let sent = agent.put(format!("{url}/cas/{name}")).send(&file[..]);
                if sent.is_ok_and(|answer| answer.status().is_success()) {
                    said.lock().unwrap().files.insert(name.clone(), file);
                    if let Some(made) = post("/artifacts", json!({ "content_hash": name })) {
                        said.lock().unwrap().artifacts.push(made["id"].as_str().unwrap().into());
                    }
                }
            }
            1 => {
                let made = post("/predict", json!({ "max_tokens": 9, "seed": number, "num_variations": 2 }));
                for variation in made.iter().flat_map(|made| made["variations"].as_array().unwrap()) {
                    let mut said = said.lock().unwrap();
                    said.answers.push(variation["output_hash"].as_str().unwrap().into());
                    said.artifacts.push(variation["artifact_id"].as_str().unwrap().into());
                }
            }
            _ => {
                let Some(made) =
                    post("/jobs", json!({ "max_tokens": 3 * (number % 50 + 1), "seed": number }))
                else {
                    continue;
                };
                let id = made["job_id"].as_str().unwrap().to_owned();
                said.lock().unwrap().jobs.push(id.clone());
                if number % 4 == 2 {
                    let told = agent.get(format!("{url}/jobs/{id}?wait=20")).call().ok();
                    let job = told.and_then(|mut told| told.body_mut().read_to_string().ok());
                    let job: Option<Value> = job.and_then(|text| serde_json::from_str(&text).ok());
                    if let Some(job) = job.filter(|job| job["status"] == "complete") {
                        said.lock().unwrap().complete.push((id, job["result"].clone()));
                    }
                }
            }
        }
    }
}

/// Everything that was acknowledged is there, and nothing points at what is not.
fn hold(service: &Serving, said: &Said) {
    for (name, file) in &said.files {
        assert_eq!(&get(service, name, &[]).1, file);
    }
    for name in &said.answers {
        assert_eq!(hash(&get(service, name, &[]).1), *name);
    }
    for id in &said.jobs {
        let job = service.get(&format!("/jobs/{id}"));
        assert_eq!(job.status, 200, "{id}: {}", job.text);
        match job.body["status"].as_str().unwrap() {
            "complete" => {
                let name = job.body["result"]["output_hash"].as_str().unwrap();
                assert_eq!(hash(&get(service, name, &[]).1), name);
            }
            "failed" => assert_eq!(job.body["error"]["details"]["reason"], "interrupted", "{}", job.text),
            other => panic!("{id} is {other}"),
        }
    }
    for (id, result) in &said.complete {
        assert_eq!(service.get(&format!("/jobs/{id}")).body["result"], *result);
    }
    let mut known = std::collections::HashSet::new();
    let mut next = String::new();
    loop {
        let page = service.get(&format!("/artifacts?limit=500{next}")).body;
        for artifact in page["artifacts"].as_array().unwrap() {
            let name = artifact["content_hash"].as_str().unwrap();
            assert_eq!(hash(&get(service, name, &[]).1), name, "{artifact} dangles");
            known.insert(artifact["id"].as_str().unwrap().to_owned());
        }
        let Some(before) = page["next"].as_u64() else { break };
        next = format!("&before={before}");
    }
    assert!(said.artifacts.iter().all(|id| known.contains(id)));
}

#[test]
fn what_was_acknowledged_survives_the_death_of_the_process() {
    let home = std::env::temp_dir().join(format!("continuo-serve-{}-killed", std::process::id()));
    std::fs::create_dir_all(&home).unwrap();
    let (said, turn) = (Mutex::new(Said::default()), AtomicU64::new(0));
    for round in 0..5_u64 {
        let Some(mut service) = Serving::at("killed", home.clone(), &["--workers", "3"]) else { return };
        service.keep_home();
        hold(&service, &said.lock().unwrap());
        let gone = AtomicBool::new(false);
        let url = service.url.clone();
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| press(&url, &said, &gone, &turn));
            }
            // After so many requests of this round, in the midst of others, it is killed.
            let until = turn.load(Ordering::Relaxed) + 20 + 13 * round;
            while turn.load(Ordering::Relaxed) < until {
                thread::yield_now();
            }
            service.kill();
            gone.store(true, Ordering::Relaxed);
        });
    }
    let Some(service) = Serving::at("killed", home, &[]) else { return };
    let said = said.into_inner().unwrap();
    assert!(said.files.len() > 5 && said.answers.len() > 5 && said.jobs.len() > 10, "too little was tried");
    hold(&service, &said);
    assert!(!service.home.join("data/continuo/service/files").read_dir().unwrap().any(|shelf| {
        let names = shelf.unwrap().path().read_dir().unwrap();
        names.into_iter().any(|name| name.unwrap().file_name().to_string_lossy().contains('#'))
    }));
}

#[cfg(unix)]
#[test]
fn a_disk_that_is_full_is_told_and_costs_nothing_that_was_kept() {
    let home = std::env::temp_dir().join(format!("continuo-serve-{}-full-disk", std::process::id()));
    std::fs::create_dir_all(&home).unwrap();
    let Some(mut service) = Serving::at("full-disk", home.clone(), &[]) else { return };
    service.keep_home();
    let kept = service.predict(&json!({ "length_seconds": 2, "seed": 5 }));
    let _ = service.stop();
    drop(service);
    // The system lets no file of this process grow beyond 96 KiB, and says so to who writes.
    let Some(service) = Serving::limited("full-disk", home.clone(), 192) else { return };
    let big = vec![7_u8; 300_000];
    put(&service, &big, "application/octet-stream").is_problem(507, "generation_failed");
    service.get(&format!("/cas/{}", hash(&big))).is_problem(404, "invalid_request");
    // Artifacts and jobs are refused once their ledger cannot grow, and never half written.
    let mut refused = None;
    for seed in 0..200 {
        let answer = service.post("/jobs", &json!({ "max_tokens": 3, "seed": seed }));
        if answer.status != 202 {
            answer.is_problem(507, "generation_failed");
            refused = Some(seed);
            break;
        }
    }
    assert!(refused.is_some(), "the ledger grew on");
    assert_eq!(service.get("/health").status, 200);
    let name = kept["output_hash"].as_str().unwrap();
    assert_eq!(hash(&get(&service, name, &[]).1), name);
    let mut service = service;
    service.keep_home();
    let _ = service.stop();
    drop(service);
    let Some(service) = Serving::at("full-disk", home, &[]) else { return };
    hold(&service, &Said { answers: vec![name.into()], ..Said::default() });
    assert_eq!(put(&service, &big, "application/octet-stream").status, 201);
}

#[test]
fn two_services_do_not_share_a_state() {
    let Some(service) = Serving::new("shared", &[]) else { return };
    let continuo = serving::binary("shared").unwrap();
    let state: PathBuf = service.home.join("data/continuo/service");
    let second =
        Command::new(continuo).args(["serve", "--port", "0", "--state"]).arg(&state).output().unwrap();
    assert_eq!(second.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&second.stderr).contains("--state"));
}

#[test]
fn a_state_in_memory_leaves_nothing() {
    let Some(service) = Serving::new("memory", &["--state", "memory"]) else { return };
    let made = service.predict(&json!({ "max_tokens": 9, "seed": 1 }));
    let name = made["output_hash"].as_str().unwrap();
    assert_eq!(hash(&get(&service, name, &[]).1), name);
    let again = service.predict(&json!({ "task": "embed", "midi_input_hash": name }));
    assert_eq!(again["status"], "success");
    assert_eq!(
        service.predict(&json!({ "task": "embed", "midi_input": encode(&get(&service, name, &[]).1) }))["embedding"],
        again["embedding"]
    );
    assert!(!service.home.join("data/continuo/service").exists());
}
