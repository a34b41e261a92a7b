//! The real `continuo serve`, asked over real sockets.
#![allow(dead_code)] // each test file uses its part

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use continuo_inference::compound::{self, Compound};
use continuo_inference::midi::Midi;
use continuo_tests::require;
use serde_json::Value;
use ureq::Agent;

/// The binary beside this test's folder, as `cargo build --workspace` leaves it.
pub fn binary(test: &str) -> Option<PathBuf> {
    let folder = std::env::current_exe().unwrap();
    let path = folder.parent()?.parent()?.join(format!("continuo{}", std::env::consts::EXE_SUFFIX));
    let there = path.exists();
    require::have(test, "binary", there, "make it with `cargo build -p continuo-service`").then_some(path)
}

/// A service on a free port. Its home is a folder of its own, so that no model of this machine is found.
pub struct Serving {
    child: Child,
    pub url: String,
    pub home: PathBuf,
    /// What it said on stderr until it served.
    pub began: String,
    /// What it says on stderr after the first line; read all the time, so that it never waits for a reader.
    said: Option<JoinHandle<String>>,
    keeps: bool,
}

/// Status, headers and body of an answer.
pub struct Answer {
    pub status: u16,
    pub headers: ureq::http::HeaderMap,
    pub body: Value,
    pub text: String,
    pub bytes: Vec<u8>,
}

/// No answer of a test takes longer, streams included.
const LONGEST: Duration = Duration::from_secs(300);

pub fn agent() -> Agent {
    let config = Agent::config_builder().http_status_as_error(false);
    config.timeout_global(Some(LONGEST)).build().into()
}

/// Waits until something holds; fails, with what it is, when it does not within a minute.
pub fn wait(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < until, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

impl Serving {
    pub fn new(test: &str, arguments: &[&str]) -> Option<Self> {
        Self::at(test, home(test), arguments)
    }

    pub fn at(test: &str, home: PathBuf, arguments: &[&str]) -> Option<Self> {
        let command = Command::new(binary(test)?);
        Some(Self::started(test, home, command, arguments))
    }

    /// No file that it writes may grow beyond so many blocks of 512 bytes: writes beyond that fail.
    #[cfg(unix)]
    pub fn limited(test: &str, home: PathBuf, blocks: u32) -> Option<Self> {
        let mut command = Command::new("sh");
        let line = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
        command.args(["-c", &line]).arg(binary(test)?);
        Some(Self::started(test, home, command, &[]))
    }

    /// With variables of the environment.
    pub fn with(test: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Option<Self> {
        Self::with_home(test, home(test), arguments, variables)
    }

    /// With these and a home.
    pub fn with_home(
        test: &str,
        home: PathBuf,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Option<Self> {
        let mut command = Command::new(binary(test)?);
        command.envs(variables.iter().copied());
        Some(Self::started(test, home, command, arguments))
    }

    fn started(test: &str, home: PathBuf, mut command: Command, arguments: &[&str]) -> Self {
        let mut child = command
            .args(["serve", "--port", "0"])
            .args(if arguments.contains(&"--rate-limit") { &[][..] } else { &["--rate-limit", "0"] })
            .args(arguments)
            .env("HOME", &home)
            .env("XDG_DATA_HOME", home.join("data"))
            .env("XDG_CONFIG_HOME", home.join("config"))
            .env("HF_HUB_CACHE", home.join("hub"))
            .env("CONTINUO_CACHE", home.join("cache"))
            .env_remove("CONTINUO_TOKEN")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap());
        let mut text = String::new();
        while !text.contains("serving at") {
            assert!(said.read_line(&mut text).unwrap() > 0, "{test}: it said {text:?}");
        }
        let url = text.split_whitespace().rfind(|word| word.starts_with("http://")).unwrap().to_owned();
        let began = text;
        let said = std::thread::spawn(move || {
            let mut text = String::new();
            let _ = said.read_to_string(&mut text);
            text
        });
        Self { child, url, home, began, said: Some(said), keeps: false }
    }

    /// Its home stays when it goes.
    pub fn keep_home(&mut self) {
        self.keeps = true;
    }

    /// Number of its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it at once, as nothing can be prepared for.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn address(&self) -> &str {
        self.url.strip_prefix("http://").unwrap()
    }

    pub fn get(&self, path: &str) -> Answer {
        read(agent().get(format!("{}{path}", self.url)).call())
    }

    pub fn delete(&self, path: &str) -> Answer {
        read(agent().delete(format!("{}{path}", self.url)).call())
    }

    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.post_with(path, body, &[])
    }

    pub fn post_with(&self, path: &str, body: &Value, headers: &[(&str, &str)]) -> Answer {
        let mut request =
            agent().post(format!("{}{path}", self.url)).header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        read(request.send(body.to_string()))
    }

    /// `/predict`, which must succeed.
    pub fn predict(&self, body: &Value) -> Value {
        let answer = self.post("/predict", body);
        assert_eq!(answer.status, 200, "{body}: {}", answer.text);
        answer.body
    }

    /// A figure of `/metrics`, 0 where it is not told.
    pub fn figure(&self, name: &str) -> f64 {
        let text = self.get("/metrics").text;
        let told = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        told.map_or(0.0, |number| number.parse().unwrap())
    }

    /// Waits until so many pieces of work were called off, and counted as such.
    pub fn called_off(&self, count: f64) {
        let name = "continuo_errors_total{type=\"cancelled\"}";
        wait("work goes on that nobody waits for", || self.figure(name) == count);
    }

    /// Lines of a stream as they come.
    pub fn stream(&self, path: &str, body: &Value) -> impl Iterator<Item = String> + use<> {
        let request = agent().post(format!("{}{path}", self.url)).header("content-type", "application/json");
        let response = request.send(body.to_string()).unwrap();
        assert_eq!(response.status(), 200);
        BufReader::new(response.into_body().into_reader()).lines().map_while(Result::ok)
    }

    /// Documents of a server-sent stream as they come.
    pub fn events(&self, path: &str, body: &Value) -> impl Iterator<Item = Value> + use<> {
        let data = |line: String| line.strip_prefix("data: ").map(|text| serde_json::from_str(text).unwrap());
        self.stream(path, body).filter_map(data)
    }

    /// Bytes as they are, and what comes back until the service closes.
    pub fn raw(&self, bytes: &[u8]) -> String {
        let mut socket = TcpStream::connect(self.address()).unwrap();
        socket.write_all(bytes).unwrap();
        let mut text = Vec::new();
        let _ = socket.read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Tells it to stop; gives its exit status and what it said.
    #[cfg(unix)]
    pub fn stop(&mut self) -> (ExitStatus, String) {
        let done = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(done.success());
        self.wait()
    }

    pub fn wait(&mut self) -> (ExitStatus, String) {
        let status = self.child.wait().unwrap();
        let text = self.said.take().unwrap().join().unwrap();
        let mut printed = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut printed).unwrap();
        (status, text + &printed)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking()
            && let Some(Ok(text)) = self.said.take().map(JoinHandle::join)
        {
            eprintln!("the service said:\n{text}");
        }
        // A test that failed asks for it no more.
        if !self.keeps || std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.home);
        }
    }
}

fn home(test: &str) -> PathBuf {
    let home = std::env::temp_dir().join(format!("continuo-serve-{}-{test}", std::process::id()));
    std::fs::create_dir_all(&home).unwrap();
    home
}

pub fn read(done: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Answer {
    let mut response = done.unwrap_or_else(|error| panic!("no answer: {error}"));
    let bytes = response.body_mut().with_config().limit(100 << 20).read_to_vec().unwrap();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Answer {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        body: serde_json::from_str(&text).unwrap_or(Value::Null),
        text,
        bytes,
    }
}

impl Answer {
    /// Fails unless it is a problem of this status and kind, in the shape of all problems.
    pub fn is_problem(&self, status: u16, kind: &str) -> &Self {
        assert_eq!((self.status, self.body["error"].as_str()), (status, Some(kind)), "{}", self.text);
        assert!(self.body["message"].as_str().is_some_and(|text| !text.is_empty()), "{}", self.text);
        assert!(self.body["details"].is_object() && self.body["suggestions"].is_array(), "{}", self.text);
        assert!(self.body["detail"].is_array(), "{}", self.text);
        let id = self.headers.get("x-request-id").unwrap().to_str().unwrap();
        assert_eq!(self.body["request_id"], id);
        let stamp = self.body["timestamp"].as_str().unwrap();
        assert!(stamp.len() == 20 && stamp.ends_with('Z'), "{stamp}");
        self
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

pub fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

pub fn phrase(name: &str) -> Vec<u8> {
    std::fs::read(require::root().join("tests/phrases").join(name)).unwrap()
}

/// Notes of a file in base64, in ticks of 10 ms: read as the reference reads them.
pub fn notes(midi: &Value) -> Vec<Compound> {
    let bytes = STANDARD.decode(midi.as_str().expect("MIDI in base64")).unwrap();
    notes_of(&bytes)
}

pub fn notes_of(bytes: &[u8]) -> Vec<Compound> {
    let mut notes = compound::from_midi(&Midi::parse(bytes).unwrap());
    notes.sort_by_key(|note| (note.onset, note.instrument, note.key));
    notes
}

/// A file of notes (onset, duration, key, instrument) in ticks of 10 ms.
pub fn file(notes: &[(i64, i64, u8, u8)]) -> Vec<u8> {
    let note = |&(onset, duration, key, instrument): &(i64, i64, u8, u8)| Compound {
        onset,
        duration,
        key,
        instrument,
        velocity: 80,
    };
    compound::to_midi(&notes.iter().map(note).collect::<Vec<_>>()).unwrap()
}
