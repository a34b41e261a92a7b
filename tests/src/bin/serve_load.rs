//! Puts load on a real `continuo serve`: `serve_load throughput`, `serve_load soak [REQUESTS]`, `serve_load mutate [REQUESTS]`.
//!
//! ```text
//! throughput  1, 4 and 8 clients at once, and a batch of 8, against the same requests one after the other, in turns;
//!             and how long /health takes while 8 clients have two minutes of music made
//! soak        mixed requests of four clients; memory after the first 500 against memory after so many more
//! mutate      files and requests that are broken in all ways: each is refused or answered, and it stays
//! ```

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use continuo_remote::wire::{Batch, Operation, Predict, Task};
use continuo_remote::{Client, Error};

/// Requests of each client.
const EACH: u64 = 10;
/// Operations of a batch, and clients that wait for long answers.
const MANY: u64 = 8;
/// Requests before memory is looked at for the first time.
const WARM: u64 = 500;
/// How much more memory is too much, as a share.
const GROWTH: f64 = 0.05;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some("throughput") => throughput(),
        Some("soak") => soak(arguments.next().map_or(Ok(500), |count| count.parse())?),
        Some("mutate") => mutate(arguments.next().map_or(Ok(100_000), |count| count.parse())?),
        _ => bail!("usage: serve_load throughput | soak [REQUESTS] | mutate [REQUESTS]"),
    }
}

/// A service of our own, which ends with this.
struct Service {
    child: Child,
    client: Client,
}

impl Service {
    fn start() -> Result<Self> {
        Self::with(&[])
    }

    fn with(arguments: &[&str]) -> Result<Self> {
        let continuo =
            std::env::current_exe()?.with_file_name(format!("continuo{}", std::env::consts::EXE_SUFFIX));
        let mut child = Command::new(&continuo)
            .args(["serve", "--port", "0", "--rate-limit", "0", "--state", "memory", "--log", "off"])
            .args(arguments)
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .with_context(|| {
                format!("{}; make it with `cargo build -p continuo-service`", continuo.display())
            })?;
        let mut said = BufReader::new(child.stderr.take().context("no stderr")?);
        let mut text = String::new();
        while !text.contains("serving at") {
            ensure!(said.read_line(&mut text)? > 0, "the service said {text:?}");
        }
        let url = text.split_whitespace().rfind(|word| word.starts_with("http://")).context(text.clone())?;
        let client = Client::new(url, None)?;
        // Read on, so that it never waits for a reader.
        std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
        Ok(Self { child, client })
    }

    /// Memory in use, in bytes.
    fn memory(&self) -> Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        Ok(line.trim().trim_end_matches("kB").trim().parse::<f64>()? * 1024.0)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn music(seed: u64) -> Predict {
    Predict { length_seconds: Some(8.0), seed: Some(seed), ..Predict::default() }
}

/// Makes requests from `from` to before `to`, with so many clients; gives their notes.
fn made(service: &Service, clients: usize, from: u64, to: u64) -> Result<u64> {
    let (next, notes) = (AtomicU64::new(from), AtomicU64::new(0));
    let work = || -> Result<()> {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= to {
                return Ok(());
            }
            let done = service.client.predict(&music(seed))?;
            notes.fetch_add(done.variations.iter().map(|one| one.tokens / 3).sum(), Ordering::Relaxed);
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..clients).map(|_| scope.spawn(work)).collect();
        threads.into_iter().try_for_each(|thread| thread.join().unwrap_or_else(|_| bail!("a client ended")))
    })?;
    Ok(notes.into_inner())
}

/// Requests and notes a second: side by side, since other programs may want the machine too.
fn throughput() -> Result<()> {
    let service = Service::start()?;
    made(&service, 1, 0, 2)?;
    println!("clients     requests/s  notes/s   one at a time: requests/s  notes/s   ratio");
    for clients in [1, 4, MANY] {
        let at_once = usize::try_from(clients)?;
        against(&service, &clients.to_string(), clients, |from, to| made(&service, at_once, from, to))?;
    }
    against(&service, "batch of 8", MANY, |from, to| {
        let operations =
            (from..to).map(|seed| Operation { id: None, request: music(seed), params: None }).collect();
        let done = service.client.batch(&Batch { operations })?;
        Ok(done.results.iter().map(|one| one.tokens.unwrap_or(0) / 3).sum())
    })?;
    health(&service)
}

/// Prints how much sooner `together` has the music of so many requests than one client that asks for one at a time.
fn against(
    service: &Service,
    name: &str,
    requests: u64,
    together: impl Fn(u64, u64) -> Result<u64>,
) -> Result<()> {
    let (mut at_once, mut alone, mut notes) = (0.0, 0.0, 0);
    // In turns, so that what slows the machine slows both.
    for turn in 0..EACH {
        let (from, to) = (1000 + turn * requests, 1000 + (turn + 1) * requests);
        let began = Instant::now();
        let first = together(from, to)?;
        at_once += began.elapsed().as_secs_f64();
        let began = Instant::now();
        let second = made(service, 1, from, to)?;
        alone += began.elapsed().as_secs_f64();
        ensure!(first == second, "the same seeds made {first} notes and {second}");
        notes += first;
    }
    #[allow(clippy::cast_precision_loss)] // thousands
    let (requests, notes) = ((EACH * requests) as f64, notes as f64);
    println!(
        "{name:<10}  {:>10.2}  {:>7.1}   {:>25.2}  {:>7.1}   {:>5.2}",
        requests / at_once,
        notes / at_once,
        requests / alone,
        notes / alone,
        alone / at_once
    );
    Ok(())
}

/// Prints how long `/health` takes while as many clients as there are workers wait for the longest answers.
fn health(service: &Service) -> Result<()> {
    let (waiting, mut took) = (AtomicU64::new(MANY), Vec::new());
    let long = |seed| -> Result<()> {
        let done =
            service.client.predict(&Predict { length_seconds: Some(120.0), seed: Some(seed), ..music(seed) });
        waiting.fetch_sub(1, Ordering::Relaxed);
        done.map(drop).map_err(Into::into)
    };
    let long = &long;
    std::thread::scope(|scope| -> Result<()> {
        let clients: Vec<_> = (0..MANY).map(|seed| scope.spawn(move || long(seed))).collect();
        while waiting.load(Ordering::Relaxed) > 0 {
            let began = Instant::now();
            service.client.health()?;
            took.push(began.elapsed().as_secs_f64() * 1000.0);
            std::thread::sleep(Duration::from_millis(2));
        }
        clients.into_iter().try_for_each(|one| one.join().unwrap_or_else(|_| bail!("a client ended")))
    })?;
    took.sort_by(f64::total_cmp);
    let at = |share: usize| took[(took.len() - 1) * share / 1000];
    println!(
        "/health, asked {} times beside {MANY} answers of two minutes: median {:.1} ms, p99 {:.1} ms, most {:.1} ms",
        took.len(),
        at(500),
        at(990),
        at(1000)
    );
    Ok(())
}

/// One of many kinds of request, by its number.
fn mixed(client: &Client, number: u64, file: &str) -> Result<(), Error> {
    let tokens = i64::try_from(6 + 3 * (number % 20)).unwrap_or(6);
    let base = Predict { max_tokens: Some(tokens), seed: Some(number), ..Predict::default() };
    let with = |task| Predict { task, seed_hash: Some(file.into()), ..base.clone() };
    match number % 10 {
        0 => client.predict(&with(Task::Continue)).map(drop),
        1 => client.predict(&with(Task::Embed)).map(drop),
        2 => client.predict(&with(Task::GenerateSeeded)).map(drop),
        3 => client.predict(&Predict { num_variations: Some(4), ..base }).map(drop),
        4 => {
            let one = |id: u64| Operation { id: Some(id.to_string()), request: base.clone(), params: None };
            client.batch(&Batch { operations: (0..3).map(one).collect() }).map(drop)
        }
        5 => {
            let job = client.create_job(&base)?;
            client.job(&job.job_id, 30.0).map(drop)
        }
        6 => {
            let job = client.create_job(&Predict { max_tokens: Some(3000), ..base })?;
            client.cancel(&job.job_id).map(drop)
        }
        7 => match client.predict(&Predict { top_p: Some(7.0), ..base }) {
            Err(Error::Refused { status: 422, .. }) => Ok(()),
            other => other.map(drop),
        },
        8 if number % 20 == 8 => client.models().map(drop),
        8 => {
            let file = || Some(file.into());
            let bridge =
                Predict { task: Task::Bridge, section_a_hash: file(), section_b_hash: file(), ..base };
            client.predict(&bridge).map(drop)
        }
        _ => client.predict(&Predict { task: Task::Loops, ..base }).map(drop),
    }
}

/// Memory must not grow with the number of requests.
fn soak(requests: u64) -> Result<()> {
    let service = Service::start()?;
    let file = service.client.predict(&music(1))?.output_hash.context("no hash")?;
    let next = AtomicU64::new(0);
    let pass = |to: u64| -> Result<()> {
        let work = || -> Result<()> {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= to {
                    return Ok(());
                }
                mixed(&service.client, number, &file).with_context(|| format!("request {number}"))?;
            }
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(work)).collect();
            threads
                .into_iter()
                .try_for_each(|thread| thread.join().unwrap_or_else(|_| bail!("a client ended")))
        })?;
        next.store(to, Ordering::Relaxed);
        Ok(())
    };
    // Until each worker and each session has been as large as it becomes.
    pass(WARM)?;
    let early = service.memory()?;
    pass(WARM + requests)?;
    let late = service.memory()?;
    let growth = late / early - 1.0;
    println!(
        "{requests} requests: {:.1} MB before them (after {WARM} others), {:.1} MB at the end, {:+.1} %",
        early / 1e6,
        late / 1e6,
        growth * 100.0
    );
    ensure!(growth < GROWTH, "memory grew by {:.1} %", growth * 100.0);
    Ok(())
}

/// A connection that is kept open.
struct Wire {
    socket: BufReader<TcpStream>,
    host: String,
}

impl Wire {
    fn open(url: &str) -> Result<Self> {
        let host = url.trim_start_matches("http://").to_owned();
        Ok(Self { socket: BufReader::new(TcpStream::connect(&host)?), host })
    }

    /// Status and text of the answer to a body that may be anything.
    fn post(&mut self, path: &str, body: &[u8]) -> Result<(u16, String)> {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            self.host,
            body.len()
        );
        self.socket.get_mut().write_all(&[head.as_bytes(), body].concat())?;
        let (mut line, mut length) = (String::new(), 0);
        self.socket.read_line(&mut line)?;
        let status = line.split(' ').nth(1).context("no answer")?.parse()?;
        loop {
            let mut header = String::new();
            self.socket.read_line(&mut header)?;
            if let Some(size) = header.to_ascii_lowercase().strip_prefix("content-length:") {
                length = size.trim().parse()?;
            }
            if header.trim().is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        self.socket.read_exact(&mut body)?;
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }
}

/// Some bytes with a few places changed, cut, doubled or put elsewhere.
fn mutated(bytes: &[u8], chance: &mut u64) -> Vec<u8> {
    let mut number = |most: usize| {
        *chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(*chance >> 33).unwrap_or(0) % most.max(1)
    };
    let mut all = bytes.to_vec();
    // More often few than many, so that some are still whole enough to be played from.
    let most = 1 + number(6);
    for _ in 0..=number(most) {
        let at = number(all.len());
        match number(6) {
            0 => all.truncate(at.max(1)),
            1 => all.insert(at, u8::try_from(number(256)).unwrap_or(0)),
            2 => {
                let to = (at + number(24)).min(all.len());
                let piece = all[at..to].to_vec();
                all.splice(at..at, piece);
            }
            3 => drop(all.drain(at..(at + number(8)).min(all.len()))),
            4 => all[at] ^= 1 << number(8),
            _ => all[at] = [0, 1, 0x7F, 0x80, 0xFF, b'"', b'9', b'-'][number(8)],
        }
        if all.is_empty() {
            all.push(0);
        }
    }
    all
}

/// What is asked with a file that is broken; `FILE` stands for it, `WHOLE` for one that is not.
const WITH_FILE: [(&str, &str, &str); 6] = [
    ("analyze", "/analyze", r#"{"midi_input": "FILE"}"#),
    (
        "continue",
        "/predict",
        r#"{"task": "continue", "midi_input": "FILE", "prime_seconds": 4, "max_tokens": 6, "seed": 1}"#,
    ),
    ("embed", "/predict", r#"{"task": "embed", "midi_input": "FILE"}"#),
    (
        "seeded",
        "/predict",
        r#"{"task": "generate_seeded", "midi_input": "FILE", "max_tokens": 6, "seed": 1,
        "constraints": {"preserve_melody": true, "avoid_jumps": true}}"#,
    ),
    (
        "bridge a",
        "/predict",
        r#"{"task": "bridge", "section_a": "FILE", "section_b": "WHOLE", "max_tokens": 6, "seed": 1}"#,
    ),
    (
        "bridge b",
        "/predict",
        r#"{"task": "bridge", "section_a": "WHOLE", "section_b": "FILE", "max_tokens": 6, "seed": 1}"#,
    ),
];
/// Requests that are broken themselves.
const REQUESTS: [(&str, &str, &str); 2] = [
    (
        "request",
        "/predict",
        r#"{"task": "continue", "midi_input": "TVRoZAAAAAYAAAABAGRNVHJrAAAADACQPEBkgDxAAP8vAA==", "max_tokens": 3,
        "prime_seconds": 1, "constraints": {"density": "sparse", "instrument_hints": ["piano"]}, "compat": {"clamp": true}}"#,
    ),
    (
        "batch",
        "/batch",
        r#"{"operations": [{"id": "a", "params": {"max_tokens": 3}}, {"max_tokens": 3, "seed": 1}]}"#,
    ),
];

/// Whole files of the project.
fn files() -> Result<Vec<Vec<u8>>> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("phrases");
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        paths.push(entry?.path());
    }
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).with_context(|| path.display().to_string())).collect()
}

/// Files and requests that are broken in all ways; the service must refuse or answer each, and stay.
fn mutate(count: u64) -> Result<()> {
    let service = Service::with(&["--timeout", "10"])?;
    let files = files()?;
    let whole = base64(&files[0]);
    let (mut wire, mut chance, mut seen) = (Wire::open(service.client.address())?, 1, BTreeMap::new());
    for number in 0..count {
        let index = usize::try_from(number)?;
        let kinds = WITH_FILE.len() + REQUESTS.len();
        let ((kind, path, _), body) = match WITH_FILE.get(index % kinds) {
            Some(one) => {
                let file = base64(&mutated(&files[index / kinds % files.len()], &mut chance));
                (*one, one.2.replace("FILE", &file).replace("WHOLE", &whole).into_bytes())
            }
            None => {
                let one = REQUESTS[index % kinds - WITH_FILE.len()];
                (one, mutated(one.2.as_bytes(), &mut chance))
            }
        };
        let told = || format!("{path} {}", String::from_utf8_lossy(&body));
        let (status, said) = wire.post(path, &body).with_context(told)?;
        *seen.entry((kind, status)).or_insert(0_u64) += 1;
        // A time that is up, or music without a note, is an answer; a defect is none.
        ensure!(
            !is_defect(&said) && [200, 400, 413, 415, 422, 500, 504].contains(&status),
            "{status} {said} for {}",
            told()
        );
    }
    ensure!(service.client.health().is_ok(), "it is gone");
    for ((kind, status), count) in &seen {
        println!("{kind:<10} {status}  {count}");
    }
    // Not all are refused: the files that are whole enough go through every task.
    for (kind, ..) in WITH_FILE.iter().chain(&REQUESTS).filter(|_| count >= 200) {
        ensure!(seen.contains_key(&(*kind, 200)), "no {kind} was answered");
    }
    Ok(())
}

/// Whether an answer says that the service met a defect of its own.
fn is_defect(said: &str) -> bool {
    said.contains("a defect of its own") || said.contains("panicked")
}

/// Bytes in base64 (RFC 4648).
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len() * 4 / 3 + 4);
    for three in bytes.chunks(3) {
        let whole =
            three.iter().fold(0_u32, |all, byte| all << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for place in 0..4 {
            let digit = char::from(DIGITS[(whole >> (18 - 6 * place) & 63) as usize]);
            text.push(if place <= three.len() { digit } else { '=' });
        }
    }
    text
}
