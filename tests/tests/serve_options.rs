//! Options from the command line, the environment and a file; `continuo doctor`; the unit of systemd; other ports; and
//! the command line that plays on a service.

mod serving;

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};

use continuo_tests::place::Place;
use continuo_tests::require;
use serde_json::{Value, json};
use serving::{Serving, binary};

fn home(name: &str) -> Place {
    let home = Place::new(&format!("options-{name}"));
    std::fs::create_dir_all(home.join("config/continuo")).unwrap();
    home
}

/// `continuo` with a home of its own.
fn run(home: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Option<Output> {
    let mut command = Command::new(binary("options")?);
    command.args(arguments).env("HOME", home).env("XDG_DATA_HOME", home.join("data"));
    command.env("XDG_CONFIG_HOME", home.join("config")).env("HF_HUB_CACHE", home.join("hub"));
    command.env_remove("CONTINUO_TOKEN").envs(variables.iter().copied());
    Some(command.output().unwrap())
}

fn doctor(home: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Option<(i32, Value)> {
    let mut all = vec!["doctor"];
    all.extend(arguments);
    let output = run(home, &all, variables)?;
    let report = serde_json::from_slice(&output.stdout);
    let report = report.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    Some((output.status.code().unwrap(), report))
}

fn said(report: &Value, check: &str) -> (bool, String) {
    let found = report["checks"].as_array().unwrap().iter().find(|one| one["check"] == check).unwrap();
    (found["ok"] == true, found["said"].as_str().unwrap().into())
}

#[test]
fn the_command_line_comes_before_the_environment_and_that_before_the_file() {
    let home = home("order");
    let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let ports = [free(), free(), free()];
    let file = format!("port = {}\nstate = \"memory\"\ncors_origin = [\"https://a.example\"]\n", ports[0]);
    std::fs::write(home.join("config/continuo/serve.toml"), file).unwrap();
    let port = |arguments: &[&str], variables: &[(&str, &str)]| {
        Some(said(&doctor(&home, arguments, variables)?.1, "port").1)
    };
    let Some(from_file) = port(&[], &[]) else { return };
    assert!(from_file.contains(&ports[0]), "{from_file}");
    assert!(port(&[], &[("CONTINUO_PORT", &ports[1])]).unwrap().contains(&ports[1]));
    assert!(port(&["--port", &ports[2]], &[("CONTINUO_PORT", &ports[1])]).unwrap().contains(&ports[2]));
    // A token of the command line stands in the place of a file of the configuration.
    std::fs::write(home.join("config/continuo/serve.toml"), "token-file = \"/nowhere\"\nport = 0\n").unwrap();
    let (code, report) = doctor(&home, &["--token", "x"], &[]).unwrap();
    assert_eq!((code, said(&report, "who may ask").0), (0, true), "{report}");
    // So it does before the environment, and what is empty there is not said.
    let token = home.join("token");
    std::fs::write(&token, "x").unwrap();
    std::fs::write(home.join("config/continuo/serve.toml"), "host = \"0.0.0.0\"\nport = 0\n").unwrap();
    let who = |arguments: &[&str], variables: &[(&str, &str)]| {
        said(&doctor(&home, arguments, variables).unwrap().1, "who may ask")
    };
    let token = token.to_str().unwrap();
    assert!(who(&["--token-file", token], &[("CONTINUO_TOKEN", "y")]).0);
    assert!(who(&["--token", "x"], &[("CONTINUO_TOKEN_FILE", "/nowhere")]).0);
    assert!(who(&[], &[("CONTINUO_TOKEN", ""), ("CONTINUO_TOKEN_FILE", token)]).0);
    assert!(!who(&[], &[("CONTINUO_TOKEN", "")]).0);
    assert!(!who(&[], &[("CONTINUO_TOKEN_FILE", "/nowhere")]).0);
    let (code, _) = doctor(&home, &["--token", "x"], &[("CONTINUO_STRICT_MODELS", "0")]).unwrap();
    assert_eq!(code, 0);
    for (text, says) in [
        ("prot = 1", "prot"),
        ("port = \"x\"", "invalid value"),
        ("port = [", "TOML"),
        ("port = 1990-01-01", "datetime"),
    ] {
        let other = home.join("other.toml");
        std::fs::write(&other, text).unwrap();
        let output = run(&home, &["serve", "--config", other.to_str().unwrap()], &[]).unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && error.contains(says), "{text}: {error}");
    }
}

#[test]
fn the_doctor_says_what_is_in_the_way() {
    let home = home("doctor");
    let Some((code, report)) = doctor(&home, &["--port", "0"], &[]) else { return };
    assert_eq!(code, 0, "{report}");
    assert!(said(&report, "model").1.contains("layers") && said(&report, "state").1.contains("sound"));
    assert!(said(&report, "sizes").1.contains("continuo models fetch small"));
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let wrong = ["--port", &port, "--otlp", &gone, "--model", "/no/model", "--state", "/proc/nowhere"];
    let (code, report) = doctor(&home, &wrong, &[]).unwrap();
    assert_eq!((code, &report["error"]), (2, &json!("4 of 7 checks failed")), "{report}");
    for check in ["port", "collector", "model", "state"] {
        assert!(!said(&report, check).0, "{check}: {report}");
    }
    // A collector that cannot be spoken with is told here and stops no service.
    let otlp = [("OTEL_EXPORTER_OTLP_ENDPOINT", "https://127.0.0.1:1")];
    let (code, report) = doctor(&home, &["--port", "0"], &otlp).unwrap();
    assert_eq!((code, said(&report, "collector").0), (2, false), "{report}");
    assert!(Serving::with("encrypted", &[], &otlp).is_some());
    let files = || std::fs::read_dir(home.join("data/continuo/service/files")).unwrap().count();
    assert_eq!(files(), 0, "the doctor leaves nothing behind");
    let (_, open) = doctor(&home, &["--host", "0.0.0.0", "--port", "0"], &[]).unwrap();
    assert!(said(&open, "who may ask").1.contains("CONTINUO_TOKEN"));
    // The state of a ledger that was damaged.
    let ledger = home.join("data/continuo/service/ledger.sqlite");
    let mut bytes = std::fs::read(&ledger).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..].fill(0x5A);
    std::fs::write(&ledger, bytes).unwrap();
    let (code, report) = doctor(&home, &["--port", "0"], &[]).unwrap();
    assert_eq!((code, said(&report, "state").0), (2, false), "{report}");
}

#[test]
fn the_ports_of_the_other_services_answer_and_say_what_they_lack() {
    let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let (music, chat) = (free(), free());
    let arguments = ["--musicgen-port", music.as_str(), "--llmchat-port", chat.as_str()];
    let Some(service) = Serving::new("families", &arguments) else { return };
    let at = |port: &str, path: &str| {
        serving::read(serving::agent().get(format!("http://127.0.0.1:{port}{path}")).call())
    };
    let post = |port: &str, path: &str| {
        let request = serving::agent().post(format!("http://127.0.0.1:{port}{path}"));
        serving::read(request.header("content-type", "application/json").send("{}"))
    };
    assert_eq!(
        at(&music, "/health").body,
        json!({ "status": "ok", "service": "musicgen", "version": "2.0.0" })
    );
    assert_eq!(
        at(&chat, "/health").body,
        json!({ "status": "ok", "service": "llmchat", "version": "2.0.0", "model": null })
    );
    post(&music, "/predict").is_problem(503, "model_unavailable");
    at(&music, "/nowhere").is_problem(404, "invalid_request");
    assert_eq!(at(&chat, "/v1/models").body, json!({ "object": "list", "data": [] }));
    let refused = post(&chat, "/v1/chat/completions");
    assert_eq!((refused.status, &refused.body["error"]["code"]), (503, &json!("model_unavailable")));
    assert!(refused.header("x-request-id").starts_with("req_"));
    for path in ["/v1/embeddings", "/v1/chat/completions"] {
        let lost = at(&chat, path);
        assert_eq!(lost.body["error"]["type"], "invalid_request_error", "{}", lost.text);
        assert!(lost.body["error"]["message"].is_string() && lost.body.get("suggestions").is_none());
    }
    at(&chat, "/nowhere").is_problem(404, "invalid_request");
    service.post("/mcp", &json!({})).is_problem(503, "model_unavailable");
    let models = service.get("/models").body["models"].clone();
    for name in ["musicgen", "llmchat"] {
        assert_eq!(models[name]["status"], "not_installed");
    }
}

#[test]
fn the_command_line_plays_on_a_service_as_it_does_here() {
    let Some(service) = Serving::new("engine", &["--token", "t"]) else { return };
    let input = require::root().join("tests/phrases/demo.mid");
    let input = input.to_str().unwrap();
    let (here, there) = (service.home.join("here.mid"), service.home.join("there.mid"));
    let (here, there) = (here.to_str().unwrap(), there.to_str().unwrap());
    let at = ["--engine", service.url.as_str(), "--engine-token", "t"];
    for command in [
        &["continue", input, "--bars", "2", "--seed", "3"][..],
        &["generate", "--bars", "2", "--seed", "3", "--instruments", "0,32"],
        &["accompany", input, "--instruments", "32", "--seed", "3"],
        &["vary", input, "--from", "2", "--bars", "2", "--seed", "3"],
        &["bridge", input, input, "--bars", "4", "--seed", "3"],
    ] {
        let own = run(&service.home, &[command, &["-o", here]].concat(), &[]).unwrap();
        assert!(own.status.success(), "{}", String::from_utf8_lossy(&own.stderr));
        let far = run(&service.home, &[command, &["-o", there], &at].concat(), &[]).unwrap();
        assert!(far.status.success(), "{}", String::from_utf8_lossy(&far.stderr));
        assert_eq!(std::fs::read(here).unwrap(), std::fs::read(there).unwrap(), "{command:?}");
    }
    let stranger = run(&service.home, &["generate", "-o", there, "--engine", &service.url], &[]).unwrap();
    assert!(!stranger.status.success() && String::from_utf8_lossy(&stranger.stderr).contains("token"));
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let away =
        run(&service.home, &["generate", "-o", there, "--engine", &format!("http://{gone}")], &[]).unwrap();
    assert!(String::from_utf8_lossy(&away.stderr).contains("continuo serve"));
    let wrong = [&["generate", "-o", there, "--model", "mine"], &at[..]].concat();
    let wrong = run(&service.home, &wrong, &[]).unwrap();
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("small, medium or large"));
}

#[test]
fn the_unit_is_one_that_systemd_takes() {
    let unit = require::root().join("docs/continuo.service");
    let text = std::fs::read_to_string(&unit).unwrap();
    for line in ["MemoryMax=", "ExecStart=", "NoNewPrivileges=yes", "Restart=on-failure"] {
        assert!(text.contains(line), "{line}");
    }
    let there = require::program("systemd-analyze");
    if !require::have("unit", "systemd", there, "systemd-analyze is part of systemd") {
        return;
    }
    let Some(continuo) = binary("unit") else { return };
    let home = home("unit");
    let own = home.join("continuo.service");
    std::fs::write(&own, text.replace("/usr/local/bin/continuo", continuo.to_str().unwrap())).unwrap();
    let output = Command::new("systemd-analyze").arg("verify").arg(&own).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !said.contains("continuo.service:"), "{said}");
}
