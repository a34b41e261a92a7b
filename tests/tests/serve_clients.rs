//! Clients that are not ours: a program in Python with httpx, and schemathesis, which makes requests up from the
//! service's own description and holds every answer against it.

mod serving;

use std::process::Command;

use continuo_tests::require;
use serving::Serving;

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
