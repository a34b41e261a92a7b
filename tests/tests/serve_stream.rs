//! Streams: words of progress, notes as they are made, and being called off.

mod serving;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use continuo_inference::{Engine, Model, Prompt, Sampling, Step};
use serde_json::{Value, json};
use serving::{Serving, notes};

#[test]
fn a_stream_tells_how_far_it_is_and_ends_as_predict_does() {
    let Some(service) = Serving::new("progress", &[]) else { return };
    let body = json!({ "length_seconds": 30, "seed": 3, "num_variations": 2 });
    let events: Vec<Value> = service.events("/generate/stream", &body).collect();
    let kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    let middle = &kinds[1..kinds.len() - 1];
    assert_eq!((kinds[0], kinds[kinds.len() - 1]), ("start", "complete"));
    assert!(!middle.is_empty() && middle.iter().all(|kind| *kind == "progress"));
    assert_eq!(events[0]["task"], "generate");
    assert!(events[0]["estimated_tokens"].as_u64().unwrap() > 0);
    let last = &events[events.len() - 1];
    let result = service.predict(&body);
    assert_eq!(last["output_hash"], result["output_hash"]);
    assert_eq!(last["result"]["variations"], result["variations"]);
    let slim = json!({ "max_tokens": 3, "seed": 3, "include": [] });
    let told = service.events("/generate/stream", &slim).last().unwrap();
    assert_eq!(told["output_hash"].as_str().unwrap().len(), 64, "{told}");
    assert!(told["result"].get("output_hash").is_none());
    let words = &events[1..events.len() - 1];
    let numbers = |field: &str| words.iter().map(|word| word[field].as_u64().unwrap()).collect::<Vec<_>>();
    let percent = numbers("percent");
    assert!(percent.is_sorted() && percent.iter().all(|one| *one <= 100), "{percent:?}");
    let tokens = numbers("tokens_so_far");
    assert!(tokens.is_sorted() && tokens[0] <= 128, "{tokens:?}");
    // Over all variations, not only of each.
    assert!(tokens.windows(2).all(|pair| pair[1] - pair[0] <= 128), "{tokens:?}");
    for variation in 0..2 {
        let whole = notes(&result["variations"][variation]["midi_base64"]);
        let mut before = 0;
        for word in words.iter().filter(|word| word["variation_id"] == variation) {
            let part = notes(&word["midi_base64"]);
            let heads = |all: &[continuo_inference::compound::Compound]| {
                all.iter().map(|note| (note.onset, note.key)).collect::<Vec<_>>()
            };
            assert_eq!(heads(&part), heads(&whole[..part.len()]));
            assert!(3 * (part.len() - before) <= 128);
            before = part.len();
        }
        assert_eq!(before, whole.len());
    }
}

#[test]
fn a_stream_is_called_off_by_its_job() {
    let Some(service) = Serving::new("cancel", &[]) else { return };
    let body = json!({ "length_seconds": 120, "num_variations": 8, "seed": 3 });
    let mut events = service.events("/generate/stream", &body);
    let start = events.next().unwrap();
    let id = start["job_id"].as_str().unwrap();
    assert_eq!(events.next().unwrap()["type"], "progress");
    assert_eq!(service.delete(&format!("/jobs/{id}")).status, 200);
    let last = events.last().unwrap();
    assert_eq!(last["type"], "cancelled", "{last}");
    let job = service.get(&format!("/jobs/{id}?wait=10")).body;
    assert_eq!(job["status"], "cancelled");
    assert_eq!(job["tokens_so_far"], last["tokens_so_far"]);
}

#[test]
fn a_stream_fails_before_it_begins_or_says_so() {
    let Some(service) = Serving::new("refused", &[]) else { return };
    service.post("/generate/stream", &json!({ "top_p": 3 })).is_problem(422, "invalid_request");
    service.post("/generate/stream", &json!({ "task": "continue" })).is_problem(422, "invalid_request");
    let events: Vec<Value> = service.events("/generate/stream", &json!({ "task": "classify" })).collect();
    let last = &events[events.len() - 1];
    assert_eq!((&last["type"], &last["problem"]["error"]), (&json!("error"), &json!("model_unavailable")));
}

/// The engine's own answer to the prompt that `body` stands for.
fn own(seed: u64, end: i32) -> Vec<(i32, i32, u8, u8)> {
    let engine = Engine::shared(Model::from_compact(continuo_models::DEFAULT).unwrap());
    let prompt = Prompt {
        end,
        instruments: Some(vec![0]),
        sampling: Sampling { seed, ..Sampling::default() },
        ..Prompt::default()
    };
    let (mut answer, mut notes) = (engine.answer(prompt), Vec::new());
    while let Step::Note(event) = answer.wait() {
        notes.push((event.onset, event.duration, event.instrument.0, event.key.0));
    }
    notes
}

#[test]
fn notes_are_those_of_the_engine_itself() {
    let Some(service) = Serving::new("notes", &[]) else { return };
    let body = json!({ "end": 768, "instruments": [0], "seed": 5, "ticks_per_beat": 48 });
    let lines = service.stream("/v1/notes", &body).map(|line| serde_json::from_str::<Value>(&line).unwrap());
    let lines: Vec<Value> = lines.filter(|line| line["type"] != "waiting").collect();
    assert_eq!((&lines[0]["type"], &lines[0]["ticks_per_beat"]), (&json!("start"), &json!(48)));
    let number = |line: &Value, field: &str| line[field].as_i64().unwrap();
    let made = lines.iter().filter(|line| line["type"] == "note").map(|line| {
        (
            number(line, "onset") as i32,
            number(line, "duration") as i32,
            number(line, "instrument") as u8,
            number(line, "key") as u8,
        )
    });
    let made: Vec<_> = made.collect();
    assert_eq!(made, own(5, 768));
    let last = &lines[lines.len() - 1];
    assert_eq!((&last["type"], &last["notes"]), (&json!("done"), &json!(made.len())));
    for wrong in [
        json!({ "start": 5, "end": 5 }),
        json!({ "start": -1, "end": 5 }),
        json!({ "end": 2_000_000_000 }),
        json!({ "end": 9, "temperature": 0 }),
        json!({ "end": 9, "history": [{ "onset": 0, "duration": 1, "instrument": 129, "key": 60 }] }),
        json!({ "end": 9, "history": [[0, 1, 2, 3]] }),
    ] {
        service.post("/v1/notes", &wrong).is_problem(422, "invalid_request");
    }
    let other = service.stream("/v1/notes", &json!({ "end": 99, "ticks_per_beat": 24 })).last().unwrap();
    assert!(other.contains("\"failed\"") && other.contains("48 ticks"), "{other}");
}

#[test]
fn a_reader_who_waits_gets_all_of_it() {
    let Some(service) = Serving::new("slow", &["--workers", "1"]) else { return };
    let body = json!({ "max_tokens": 300, "length_seconds": 120, "num_variations": 2, "seed": 4 });
    let mut events = service.events("/generate/stream", &body);
    let id = events.next().unwrap()["job_id"].as_str().unwrap().to_owned();
    // Read only when it is over.
    let job = service.get(&format!("/jobs/{id}?wait=60")).body;
    assert_eq!(job["status"], "complete");
    let last = events.last().unwrap();
    assert_eq!((&last["type"], &last["total_tokens"]), (&json!("complete"), &json!(600)));
}

#[test]
fn signs_of_life_are_given_while_a_request_waits_for_its_turn() {
    let Some(service) = Serving::new("signs", &["--workers", "1"]) else { return };
    let mut long = service.stream("/v1/notes", &json!({ "end": 100_000, "seed": 1 }));
    while !long.next().unwrap().contains("start") {}
    let mut waits = service.stream("/v1/notes", &json!({ "end": 48, "seed": 1 }));
    assert_eq!(waits.next().unwrap(), r#"{"type":"waiting"}"#);
    drop(long);
    assert!(waits.last().unwrap().contains("\"done\""));
    let text = service.get("/metrics").text;
    assert!(text.contains("continuo_requests_total{task=\"notes\",outcome=\"success\"} 1"), "{text}");
}

#[test]
fn whoever_goes_away_leaves_no_work_behind() {
    // One worker: the next request is answered only when the one before has ended.
    let Some(service) = Serving::new("gone", &["--workers", "1", "--timeout", "3600"]) else { return };
    for (count, path) in (1_u32..).zip(["/v1/notes", "/generate/stream", "/predict"]) {
        let body =
            json!({ "end": 100_000, "seed": 1, "length_seconds": 120, "num_variations": 8 }).to_string();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let mut socket = TcpStream::connect(service.address()).unwrap();
        socket.write_all((head + &body).as_bytes()).unwrap();
        if path == "/predict" {
            serving::wait("it does not begin", || service.figure("continuo_queue_running") > 0.0);
        } else {
            // Under way, as the first lines tell.
            let mut lines = BufReader::new(&socket).lines();
            assert!(lines.by_ref().map_while(Result::ok).any(|line| line.contains("start")));
        }
        drop(socket);
        service.called_off(count.into());
        let next = service.stream("/v1/notes", &json!({ "end": 48, "seed": 1 })).last().unwrap();
        assert!(next.contains("\"done\""), "{next}");
        let done = service.predict(&json!({ "max_tokens": 3, "seed": 1 }));
        assert_eq!(done["tokens"], 3);
    }
}
