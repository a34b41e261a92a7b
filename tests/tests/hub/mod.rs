//! A server that answers as the Hugging Face Hub does, on this machine: small files by way of a redirect within
//! it, large ones by a redirect to another address (its "CDN"), which takes ranges. It can be told to fail.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use sha1::Sha1;
use sha2::{Digest, Sha256};

pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
pub const REPOSITORY: &str = "stanford-crfm/music-small-800k";

/// How the server behaves from now on.
#[derive(Clone, Default)]
pub struct Mood {
    /// Each answer of the CDN ends after so many bytes of its body.
    pub cut: Option<usize>,
    /// After this many answers of the CDN it gives no more bytes at all.
    pub answers: Option<usize>,
    /// The CDN gives this instead of the true bytes.
    pub wrong: Option<Vec<u8>>,
    /// The CDN does not know ranges.
    pub no_ranges: bool,
    /// Who asks must show this.
    pub token: Option<String>,
    /// Who asks must have accepted terms.
    pub gated: bool,
    /// Answers have no headers of a Hub.
    pub foreign: bool,
}

/// A request that came.
#[derive(Clone, Debug, Default)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub range: Option<String>,
    pub authorization: Option<String>,
    /// Whether it came to the CDN.
    pub cdn: bool,
}

pub struct Hub {
    pub mood: Mutex<Mood>,
    pub files: Mutex<BTreeMap<String, Vec<u8>>>,
    pub requests: Mutex<Vec<Request>>,
    address: SocketAddr,
    cdn: SocketAddr,
}

impl Hub {
    pub fn start(files: impl IntoIterator<Item = (String, Vec<u8>)>) -> Arc<Self> {
        let bind = || TcpListener::bind("127.0.0.1:0").unwrap();
        let (listener, cdn) = (bind(), bind());
        let hub = Arc::new(Self {
            mood: Mutex::default(),
            files: Mutex::new(files.into_iter().collect()),
            requests: Mutex::default(),
            address: listener.local_addr().unwrap(),
            cdn: cdn.local_addr().unwrap(),
        });
        for (listener, is_cdn) in [(listener, false), (cdn, true)] {
            let hub = Arc::clone(&hub);
            // Ends with the test's process.
            std::thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    let hub = Arc::clone(&hub);
                    std::thread::spawn(move || hub.answer(stream, is_cdn));
                }
            });
        }
        hub
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn set(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
        self.requests.lock().unwrap().clear();
    }

    /// Ranges that the CDN was asked for, in order.
    pub fn ranges(&self) -> Vec<Option<String>> {
        let requests = self.requests.lock().unwrap();
        requests.iter().filter(|request| request.cdn).map(|request| request.range.clone()).collect()
    }

    fn answer(&self, mut stream: TcpStream, cdn: bool) -> Option<()> {
        let mut reader = BufReader::new(stream.try_clone().ok()?);
        let request = read(&mut reader, cdn)?;
        let earlier = {
            let mut all = self.requests.lock().unwrap();
            all.push(request.clone());
            all.iter().filter(|request| request.cdn).count()
        };
        let mood = self.mood.lock().unwrap().clone();
        let (head, body) =
            if cdn { self.large(&request, &mood, earlier) } else { self.page(&request, &mood) };
        let head = format!("HTTP/1.1 {head}\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).ok()?;
        if request.method == "GET" {
            stream.write_all(&body).ok()?;
        }
        stream.shutdown(std::net::Shutdown::Both).ok()
    }

    /// `/owner/name/resolve/revision/file`, or what a redirect within the server leads to.
    fn page(&self, request: &Request, mood: &Mood) -> (String, Vec<u8>) {
        let error = |status: &str, code: &str| {
            (format!("{status}\r\nX-Error-Code: {code}\r\nContent-Length: 0"), Vec::new())
        };
        let wanted = mood.token.as_ref().map(|token| format!("Bearer {token}"));
        if wanted.is_some() && request.authorization != wanted {
            return error("401 Unauthorized", "RepoNotFound");
        }
        if mood.gated {
            return error("403 Forbidden", "GatedRepo");
        }
        let path = request.path.strip_prefix("/api/resolve-cache/models").unwrap_or(&request.path);
        let parts: Vec<&str> = path.trim_start_matches('/').splitn(5, '/').collect();
        let &[owner, name, "resolve", revision, file] = parts.as_slice() else {
            return error("404 Not Found", "RepoNotFound");
        };
        if format!("{owner}/{name}") != REPOSITORY {
            return error("404 Not Found", "RepoNotFound");
        }
        if ![COMMIT, "main", "v1", "refs%2Fpr%2F1"].contains(&revision) {
            return error("404 Not Found", "RevisionNotFound");
        }
        let Some(bytes) = self.files.lock().unwrap().get(file).cloned() else {
            return error("404 Not Found", "EntryNotFound");
        };
        if mood.foreign {
            return (format!("200 OK\r\nContent-Length: {}", bytes.len()), bytes);
        }
        let commit = format!("X-Repo-Commit: {COMMIT}");
        if !file.ends_with(".json") {
            // Another host, since it has another name.
            let to = format!("Location: http://localhost:{}/{file}?signed=yes", self.cdn.port());
            let linked = format!("X-Linked-Size: {}\r\nX-Linked-Etag: \"{}\"", bytes.len(), sha256(&bytes));
            let etag = "ETag: \"of-the-redirect\"\r\nContent-Length: 0";
            return (format!("302 Found\r\n{to}\r\n{linked}\r\n{commit}\r\n{etag}"), Vec::new());
        }
        if !request.path.starts_with("/api") {
            let to = format!("Location: /api/resolve-cache/models{path}");
            return (format!("307 Temporary Redirect\r\n{to}\r\n{commit}\r\nContent-Length: 0"), Vec::new());
        }
        (
            format!("200 OK\r\n{commit}\r\nETag: \"{}\"\r\nContent-Length: {}", blob(&bytes), bytes.len()),
            bytes,
        )
    }

    fn large(&self, request: &Request, mood: &Mood, earlier: usize) -> (String, Vec<u8>) {
        let file = request.path.trim_start_matches('/').split('?').next().unwrap();
        let bytes = mood.wrong.clone().unwrap_or_else(|| self.files.lock().unwrap()[file].clone());
        let range = request.range.as_ref().filter(|_| !mood.no_ranges);
        let from: usize = range.map_or(0, |range| range[6..].trim_end_matches('-').parse().unwrap());
        if from >= bytes.len() {
            return ("416 Range Not Satisfiable\r\nContent-Length: 0".into(), Vec::new());
        }
        let exhausted = mood.answers.is_some_and(|answers| earlier > answers);
        let most = if exhausted { 0 } else { mood.cut.unwrap_or(bytes.len()) };
        let body = bytes[from..].iter().copied().take(most).collect();
        let length = bytes.len() - from;
        let part = format!("Content-Range: bytes {from}-{}/{}", bytes.len() - 1, bytes.len());
        let head = match range {
            Some(_) => format!("206 Partial Content\r\n{part}\r\nContent-Length: {length}"),
            None => format!("200 OK\r\nContent-Length: {length}"),
        };
        (head, body)
    }
}

fn read(reader: &mut impl BufRead, cdn: bool) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut request = Request { method, path, cdn, ..Request::default() };
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.split_once(':') else { return Some(request) };
        let value = Some(value.trim().to_owned());
        match name.to_ascii_lowercase().as_str() {
            "range" => request.range = value,
            "authorization" => request.authorization = value,
            _ => {}
        }
    }
}

pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn blob(bytes: &[u8]) -> String {
    let sum = Sha1::new_with_prefix(format!("blob {}\0", bytes.len())).chain_update(bytes).finalize();
    sum.iter().map(|byte| format!("{byte:02x}")).collect()
}
