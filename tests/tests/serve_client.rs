//! The client in Rust against the real service: typed calls, notes as they are made, and a service that goes away.

mod serving;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use continuo_remote::wire::{
    Analyze, Batch, JobState, NoteLine, Notes, Operation, Predict, ProblemKind, Task, WireNote,
};
use continuo_remote::{Answer, Client, Error, Remote, State, Step};
use continuo_timeline::Event;
use serving::Serving;

fn drained(mut answer: Answer) -> (Vec<Event>, Step) {
    let (mut notes, mut silent) = (Vec::new(), 0);
    while silent < 60 {
        match answer.wait_for(Duration::from_secs(1)) {
            Step::Note(event) => notes.push(event),
            Step::Pending => silent += 1,
            last => return (notes, last),
        }
    }
    panic!("no end after {notes:?}")
}

fn prompt() -> Notes {
    Notes { end: 768, instruments: Some(vec![0]), seed: 5, ..Notes::default() }
}

#[test]
fn calls_are_typed() {
    let Some(service) = Serving::new("typed", &["--token", "t"]) else { return };
    let client = Client::new(&service.url, Some("t")).unwrap();
    assert_eq!(client.health().unwrap().service, "anticipatory");
    assert!(client.models().unwrap().models.contains_key("default"));
    let request = Predict { length_seconds: Some(3.0), seed: Some(1), ..Predict::default() };
    let done = client.predict(&request).unwrap();
    let hash = done.output_hash.unwrap();
    assert!(client.file(&hash).unwrap().starts_with(b"MThd"));
    let job = client.create_job(&request).unwrap();
    let job = client.job(&job.job_id, 60.0).unwrap();
    assert_eq!((job.status, job.result.unwrap().output_hash), (JobState::Complete, Some(hash.clone())));
    let operation = Operation { id: Some("a".into()), request: request.clone(), params: None };
    let batch = client.batch(&Batch { operations: vec![operation] }).unwrap();
    assert_eq!(batch.results[0].output_hash.as_ref(), Some(&hash));
    let tune = client.file(&hash).unwrap();
    let stored = client.store(tune).unwrap();
    assert_eq!((stored.hash.as_str(), stored.mime_type.as_str()), (hash.as_str(), "audio/midi"));
    let asked = Analyze { midi_input_hash: Some(hash.clone()), ..Analyze::default() };
    let told = client.analyze(&asked).unwrap();
    assert_eq!((told.midi_input_hash, told.rhythm.unwrap().time_signature), (hash, "4/4".to_owned()));
    let more = Predict { task: Task::Continue, input_hash: Some(stored.hash), ..request.clone() };
    let made = client.predict(&more).unwrap().variations[0].artifact_id.clone().unwrap();
    let artifact = client.artifact(&made).unwrap();
    let before = client.ancestors(&made).unwrap().artifacts;
    assert_eq!(artifact.parent_id.as_deref(), Some(before[0].id.as_str()));
    let wrong = Predict { task: Task::Continue, ..request.clone() };
    match client.predict(&wrong) {
        Err(Error::Refused { status: 422, problem, .. }) => {
            assert_eq!(problem.error, ProblemKind::InvalidRequest);
        }
        other => panic!("{other:?}"),
    }
    let stranger = Client::new(&service.url, None).unwrap();
    assert!(matches!(stranger.predict(&request), Err(Error::Refused { status: 401, .. })));
    assert!(matches!(Client::new("ftp://x", None), Err(Error::Address { .. })));
}

#[test]
fn notes_come_as_they_are_made() {
    let Some(service) = Serving::new("made", &[]) else { return };
    let remote = Remote::new(Client::new(&service.url, None).unwrap());
    let (first, end) = drained(remote.answer(prompt()));
    assert_eq!(end, Step::Done);
    assert!(!first.is_empty() && first.is_sorted_by_key(|event| event.onset));
    assert!(matches!(remote.state(), State::Ready { .. }), "{:?}", remote.state());
    assert_eq!(drained(remote.answer(prompt())).0, first);
    let refused = drained(remote.answer(Notes { end: -1, ..prompt() }));
    assert!(matches!(refused.1, Step::Failed(_)));
    // Dropped after the first note, it leaves the service free.
    let mut long = remote.answer(Notes { end: 100_000, ..prompt() });
    assert!((0..60).any(|_| matches!(long.wait_for(Duration::from_secs(1)), Step::Note(_))));
    drop(long);
    service.called_off(1.0);
    assert_eq!(drained(remote.answer(prompt())).0, first);
}

/// A way to the service whose first two connections break after so many bytes: the client looks for the service on one,
/// and asks on the other or on the same.
fn breaking(to: &str, after: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let to = to.to_owned();
    std::thread::spawn(move || {
        for (number, near) in listener.incoming().map_while(Result::ok).enumerate() {
            let far = TcpStream::connect(&to).unwrap();
            passed(near, far, if number < 2 { after } else { usize::MAX });
        }
    });
    address
}

/// Passes one connection on, and breaks it off after `most` bytes of answers.
fn passed(mut near: TcpStream, mut far: TcpStream, most: usize) {
    let (mut from, mut to) = (near.try_clone().unwrap(), far.try_clone().unwrap());
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(std::net::Shutdown::Both);
    });
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut Read::by_ref(&mut far).take(most as u64), &mut near);
        let _ = near.shutdown(std::net::Shutdown::Both);
        let _ = far.shutdown(std::net::Shutdown::Both);
    });
}

#[test]
fn an_answer_goes_on_over_a_connection_that_broke() {
    let Some(service) = Serving::new("broke", &[]) else { return };
    let direct = Remote::new(Client::new(&service.url, None).unwrap());
    let (whole, _) = drained(direct.answer(prompt()));
    for after in [100, 700, 1500] {
        let way = breaking(service.address(), after);
        let remote = Remote::new(Client::new(&way, None).unwrap());
        assert_eq!(drained(remote.answer(prompt())), (whole.clone(), Step::Done), "after {after} bytes");
    }
}

#[test]
fn a_service_that_is_not_there_is_told_as_such() {
    // A port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let client = Client::new(&format!("http://127.0.0.1:{port}"), None).unwrap();
    assert!(matches!(client.health(), Err(Error::Away { .. })));
    let remote = Remote::new(client);
    let (notes, end) = drained(remote.answer(prompt()));
    assert!(notes.is_empty());
    match end {
        Step::Failed(why) => assert!(why.contains("continuo serve"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert!(matches!(remote.state(), State::Away { .. }));
}

/// Somebody at an address who answers each request with the same bytes, or not at all; and how many asked.
fn stranger(says: &'static [u8]) -> (String, std::sync::Arc<std::sync::atomic::AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let asked = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = std::sync::Arc::clone(&asked);
    std::thread::spawn(move || {
        for mut socket in listener.incoming().map_while(Result::ok) {
            std::thread::spawn({
                let count = std::sync::Arc::clone(&count);
                move || {
                    let (mut asked, mut piece) = (String::new(), [0; 4096]);
                    // The last field of a prompt.
                    while !asked.contains("\"prepare\"") {
                        let Ok(length @ 1..) = socket.read(&mut piece) else { return };
                        asked += &String::from_utf8_lossy(&piece[..length]);
                    }
                    if asked.contains("\"end\":768") {
                        count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    }
                    let _ = socket.write_all(says);
                    let _ = socket.flush();
                }
            });
        }
    });
    (address, asked)
}

#[test]
fn what_no_service_says_is_no_note_and_what_is_not_here_is_asked_for_once() {
    let failed = |says| {
        let (address, asked) = stranger(says);
        let remote = Remote::new(Client::new(&address, None).unwrap());
        let (notes, end) = drained(remote.answer(prompt()));
        let Step::Failed(why) = end else { panic!("{end:?}") };
        assert!(notes.is_empty());
        (why, asked.load(std::sync::atomic::Ordering::Relaxed))
    };
    let head = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n";
    let line = r#"{"type":"note","onset":0,"duration":1,"instrument":0,"key":200}"#;
    let (why, asked) = failed(format!("{head}{line}\n").leak().as_bytes());
    assert!(why.contains("200") && asked == 1, "{why} {asked}");
    let (why, _) = failed(format!("{head}{}", "x".repeat(2 << 20)).leak().as_bytes());
    assert!(why.contains("without end"), "{why}");
    let problem = r#"{"error":"model_unavailable","message":"no such model","details":{},"suggestions":[],"request_id":"","timestamp":""}"#;
    let absent = format!(
        "HTTP/1.1 503 No\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{problem}",
        problem.len()
    );
    let (why, asked) = failed(absent.leak().as_bytes());
    assert!(why.contains("no such model") && asked == 1, "{why} {asked}");
}

#[test]
fn lines_are_read_as_they_are_written() {
    let note = WireNote { onset: 1, duration: 2, instrument: 3, key: 4 };
    let text = serde_json::to_string(&NoteLine::Note { note }).unwrap();
    assert_eq!(text, r#"{"type":"note","onset":1,"duration":2,"instrument":3,"key":4}"#);
    assert_eq!(serde_json::from_str::<NoteLine>(&text).unwrap(), NoteLine::Note { note });
}
