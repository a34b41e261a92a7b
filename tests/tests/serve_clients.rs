//! Programs that are not ours: one in Python with httpx; schemathesis, which makes requests up from the service's own
//! description and holds every answer against it; and pretty_midi, mido and music21, which say of files what the service says.

mod serving;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use continuo_tests::require;
use serving::{Serving, binary};

const REMEDY: &str = "cargo xtask doctor --install clients";

#[test]
fn a_program_in_python_asks_for_everything() {
    if !require::have("clients-httpx", "clients", require::module("httpx"), REMEDY) {
        return;
    }
    let Some(service) = Serving::new("clients-httpx", &[]) else { return };
    let script = require::root().join("tests/scripts/http_client.py");
    let done = Command::new(require::python()).arg(script).arg(&service.url).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// What schemathesis is told. A classifier is rightly absent (503), long answers take too long (504), and a second of
/// music may have no note (500; defects are looked for in what the service says). What fits the description need not be
/// a MIDI file or the hash of one, and what does not fit may do no harm. It makes up the same each time.
const WISHES: &str = r#"
[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", 500, 503, 504]

[checks]
positive_data_acceptance.enabled = false
negative_data_rejection.enabled = false

[phases.examples]
enabled = false

[phases.stateful]
enabled = false

[generation]
deterministic = true
max-examples = 5

# Their body is that of /predict, all of whose corners are looked at there.
[[operations]]
include-path-regex = "/(batch|jobs|generate/stream)$"
phases.coverage.enabled = false
"#;

#[cfg(unix)] // it is told to stop
#[test]
fn every_route_answers_as_the_description_says() {
    let tool = require::python().with_file_name("schemathesis");
    if !require::have("clients-schema", "clients", tool.exists(), REMEDY) {
        return;
    }
    let Some(mut service) = Serving::new("clients-schema", &["--timeout", "0.1"]) else { return };
    let folder = &service.home;
    std::fs::write(folder.join("schemathesis.toml"), WISHES).unwrap();
    let done = Command::new(tool)
        .args(["run", &format!("{}/openapi.json", service.url), "--no-color", "--request-timeout", "300"])
        .current_dir(folder)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{said}{}", String::from_utf8_lossy(&done.stderr));
    assert!(said.contains("Tested"), "{said}");
    let (_, log) = service.stop();
    assert!(log.contains("/v1/notes") && !log.contains("defect") && !log.contains("panicked"), "{log}");
}

/// A certificate for this machine, which is its own root.
const CERTIFICATE: &str = "[req]\nprompt = no\ndistinguished_name = name\nx509_extensions = rest\n[name]\nCN = localhost\n\
[rest]\nsubjectAltName = DNS:localhost\nbasicConstraints = critical, CA:FALSE\n";

#[test]
fn a_service_behind_tls_plays_where_its_certificate_is_trusted() {
    let there = require::program("openssl") && require::python().exists();
    if !require::have("clients-tls", "clients", there, REMEDY) {
        return;
    }
    let Some(service) = Serving::new("clients-tls", &[]) else { return };
    let at = |name: &str| service.home.join(name);
    std::fs::write(at("wanted"), CERTIFICATE).unwrap();
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-config"])
        .args([at("wanted"), "-keyout".into(), at("key"), "-out".into(), at("certificate")])
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let mut front = Command::new(require::python())
        .arg(require::root().join("tests/scripts/tls_front.py"))
        .args([at("certificate"), at("key"), service.address().into()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut port = String::new();
    BufReader::new(front.stdout.take().unwrap()).read_line(&mut port).unwrap();
    let plays = |trusted: Option<std::path::PathBuf>| {
        let mut command = Command::new(binary("clients-tls").unwrap());
        command.args([
            "continue",
            "--seed",
            "4",
            "--engine",
            &format!("https://localhost:{}", port.trim()),
            "-o",
        ]);
        command.arg(at("more.mid")).arg(require::root().join("tests/phrases/demo.mid"));
        command.envs(trusted.map(|path| ("SSL_CERT_FILE", path)));
        command.output().unwrap()
    };
    let stranger = plays(None);
    let said = String::from_utf8_lossy(&stranger.stderr).into_owned();
    assert!(!stranger.status.success() && said.contains("certificate"), "{said}");
    let friend = plays(Some(at("certificate")));
    assert!(friend.status.success(), "{}", String::from_utf8_lossy(&friend.stderr));
    assert!(std::fs::read(at("more.mid")).unwrap().starts_with(b"MThd"));
    drop(front.stdin.take());
    front.wait().unwrap();
}

#[test]
fn the_analysis_agrees_with_known_tools_on_real_files() {
    let there = ["mido", "pretty_midi", "music21"].iter().all(|name| require::module(name));
    if !require::have("clients-agreement", "clients", there, REMEDY) {
        return;
    }
    let Some(service) = Serving::new("clients-agreement", &[]) else { return };
    let mut files = Vec::new();
    for folder in ["tests/excerpts", "tests/phrases"] {
        let all = std::fs::read_dir(require::root().join(folder)).unwrap().map(|entry| entry.unwrap().path());
        files.extend(all.filter(|path| path.extension().is_some_and(|kind| kind == "mid")));
    }
    files.sort();
    assert!(files.len() >= 12, "{files:?}");
    let script = require::root().join("tests/scripts/agreement.py");
    let done = Command::new(require::python()).arg(script).arg(&service.url).args(files).output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{said}{}", String::from_utf8_lossy(&done.stderr));
    // A row for each file, with the head and the sum.
    assert!(said.lines().count() >= 14, "{said}");
}
