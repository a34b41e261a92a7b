//! The service as HTTP: ports, health, failures, names of jobs, who may ask.

mod serving;

use std::net::TcpListener;
use std::process::Command;

use serde_json::json;
use serving::{Serving, binary};

#[test]
fn health_is_told_as_json_and_as_text() {
    let Some(service) = Serving::new("health", &[]) else { return };
    assert!(service.began.contains("models compute on"), "{}", service.began);
    let health = service.get("/health");
    assert_eq!(health.status, 200);
    assert_eq!(health.body, json!({"status": "ok", "service": "anticipatory", "version": "2.0.0"}));
    let request = serving::agent().get(format!("{}/health", service.url)).header("accept", "text/plain");
    assert_eq!(request.call().unwrap().body_mut().read_to_string().unwrap(), "ok");
}

#[test]
fn a_port_in_use_is_one_line_and_an_exit_code() {
    let Some(continuo) = binary("port") else { return };
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = Command::new(continuo).args(["serve", "--port", &port]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains(&port) && said.contains("--port"), "{said}");
}

#[test]
fn the_usual_port_is_that_of_the_older_service() {
    let Some(continuo) = binary("usual") else { return };
    let help = Command::new(continuo).args(["serve", "--help"]).output().unwrap();
    assert!(String::from_utf8_lossy(&help.stdout).contains("default: 2011"));
}

#[test]
fn every_failure_has_one_shape() {
    let Some(service) = Serving::new("failures", &["--max-body", "20000"]) else { return };
    service.get("/nowhere").is_problem(404, "invalid_request");
    let other = service.get("/predict");
    other.is_problem(405, "invalid_request");
    assert_eq!(other.header("allow"), "POST");
    let post = |body: &str, kind: &str| {
        let text = format!(
            "POST /predict HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        service.raw(text.as_bytes())
    };
    for (body, kind, status) in [
        ("{", "application/json", 422),
        ("[]", "application/json", 422),
        ("{} {}", "application/json", 422),
        ("{\"task\": \"dance\"}", "application/json", 422),
        ("{\"top_p\": \"much\"}", "application/json", 422),
        ("\u{0}", "application/json", 422),
        ("{}", "text/plain", 415),
    ] {
        let answer = post(body, kind);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{body}: {answer}");
        assert!(
            answer.contains("\"error\":\"invalid_request\"") && answer.contains("x-request-id"),
            "{answer}"
        );
    }
    let large = service.post("/predict", &json!({ "midi_input": "A".repeat(20_001) }));
    large.is_problem(413, "invalid_request");
    let bad = service.get("/jobs/job_none?wait=x");
    bad.is_problem(422, "invalid_request");
    service.get("/jobs/job_none").is_problem(404, "invalid_request");
    service.get("/cas/..%2f..%2fetc%2fpasswd").is_problem(422, "invalid_request");
    service.get(&format!("/cas/{}", "0".repeat(64))).is_problem(404, "invalid_request");
}

#[test]
fn a_fault_names_its_place() {
    let Some(service) = Serving::new("faults", &[]) else { return };
    let answer = service.post("/predict", &json!({ "top_p": 1.5, "temperature": 0, "num_variations": 9 }));
    answer.is_problem(422, "invalid_request");
    let places: Vec<_> = answer.body["detail"].as_array().unwrap().iter().map(|one| &one["loc"]).collect();
    assert_eq!(
        json!(places),
        json!([["body", "temperature"], ["body", "top_p"], ["body", "num_variations"]])
    );
    let clamped = json!({ "top_p": 1.5, "length_seconds": 0.1, "compat": { "clamp": true }, "seed": 1 });
    let done = service.predict(&clamped);
    assert_eq!(done["metadata"]["warnings"].as_array().unwrap().len(), 2, "{done}");
    assert_eq!(done["variations"][0]["duration_seconds"], 1.0);
    // A field within a field; and lists that are too long.
    let many = vec!["x"; 17];
    let wishes = json!({ "target_energy": 7, "style_hints": many, "instrument_hints": many });
    let deep = json!({ "task": null, "constraints": wishes, "hints": many });
    let answer = service.post("/predict", &deep);
    let places: Vec<_> = answer.body["detail"].as_array().unwrap().iter().map(|one| &one["loc"]).collect();
    assert_eq!(
        json!(places),
        json!([
            ["body", "constraints", "target_energy"],
            ["body", "hints"],
            ["body", "constraints", "instrument_hints"],
            ["body", "constraints", "style_hints"]
        ])
    );
    let energy = |energy: f64| json!({ "max_tokens": 60, "seed": 1, "compat": { "clamp": true }, "constraints": { "target_energy": energy } });
    // Brought into its range it does what the nearest one does.
    assert_eq!(service.predict(&energy(7.0))["output_hash"], service.predict(&energy(1.0))["output_hash"]);
    let text = service.get("/metrics").text;
    assert!(text.contains("continuo_errors_total{type=\"invalid_request\"} 2"), "{text}");
}

#[test]
fn a_job_is_named_in_three_ways() {
    let Some(service) = Serving::new("names", &[]) else { return };
    let name = |path: &str, body: Option<&str>, header: Option<&str>| {
        let mut request = json!({ "length_seconds": 1, "seed": 1, "max_tokens": 3 });
        if let Some(body) = body {
            request["client_job_id"] = json!(body);
        }
        let header: Vec<_> = header.iter().map(|value| ("x-client-job-id", *value)).collect();
        let answer = service.post_with(path, &request, &header);
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(answer.body["metadata"]["client_job_id"], answer.body["meta"]["client_job_id"]);
        answer
    };
    let given = |answer: &serving::Answer| answer.body["metadata"]["client_job_id"].clone();
    assert_eq!(given(&name("/predict", Some("a:1"), None)), "a:1");
    assert_eq!(given(&name("/predict?client_job_id=b.2", None, None)), "b.2");
    assert_eq!(given(&name("/predict", None, Some("c_3"))), "c_3");
    assert_eq!(given(&name("/predict?client_job_id=b", Some("a"), Some("c"))), "a");
    assert_eq!(given(&name("/predict?client_job_id=b", None, Some("c"))), "b");
    for bad in ["x".repeat(257), "a b".into(), "a\u{e9}".into(), String::new()] {
        let answer = name("/predict", Some(&bad), None);
        assert!(given(&answer).is_null());
        let warnings = answer.body["metadata"]["warnings"].to_string();
        assert!(warnings.contains("client_job_id"), "{warnings}");
        let reflected =
            answer.headers.values().any(|value| !bad.is_empty() && value.as_bytes() == bad.as_bytes());
        assert!(!reflected);
    }
    assert_eq!(given(&name("/predict", Some(&"x".repeat(256)), None)), "x".repeat(256));
}

#[test]
fn metadata_and_meta_agree_and_no_trace_is_made_up() {
    let Some(service) = Serving::new("metadata", &[]) else { return };
    let answer = service.post_with(
        "/predict",
        &json!({ "max_tokens": 3, "seed": 1 }),
        &[("x-request-id", "my-request.7")],
    );
    assert_eq!((answer.status, answer.header("x-request-id")), (200, "my-request.7"));
    let (metadata, meta) = (&answer.body["metadata"], &answer.body["meta"]);
    for field in ["client_job_id", "trace_id", "span_id", "service", "model_size", "request_id"] {
        assert_eq!(metadata[field], meta[field], "{field}");
    }
    assert!(meta["trace_id"].is_null() && meta["span_id"].is_null());
    assert_eq!((&meta["service"], &meta["request_id"]), (&json!("anticipatory"), &json!("my-request.7")));
}

#[test]
fn it_does_not_stand_open_to_the_world() {
    let Some(continuo) = binary("open") else { return };
    let bare = Command::new(&continuo)
        .args(["serve", "--host", "0.0.0.0", "--port", "0"])
        .env_remove("CONTINUO_TOKEN")
        .output()
        .unwrap();
    assert_eq!(bare.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&bare.stderr).contains("CONTINUO_TOKEN"));
    let Some(service) = Serving::new("token", &["--token", "open-sesame"]) else { return };
    let body = json!({ "max_tokens": 3, "seed": 1 });
    for header in
        [vec![], vec![("authorization", "Bearer open-sesam")], vec![("authorization", "open-sesame")]]
    {
        let refused = service.post_with("/predict", &body, &header);
        refused.is_problem(401, "invalid_request");
        assert_eq!(refused.header("www-authenticate"), "Bearer");
    }
    service.get("/models").is_problem(401, "invalid_request");
    assert_eq!(service.get("/health").status, 200);
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let header = format!("{scheme} open-sesame");
        let told = service.post_with("/predict", &body, &[("authorization", &header)]);
        assert_eq!(told.status, 200, "{}", told.text);
    }
    let empty = service.home.join("token");
    std::fs::write(&empty, "\n").unwrap();
    let refused =
        Command::new(&continuo).args(["serve", "--port", "0", "--token-file"]).arg(&empty).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("no token"));
}

#[test]
fn who_is_refused_while_sending_can_read_why() {
    let Some(service) = Serving::new("sending", &["--token", "gehëim", "--max-body", "1000000"]) else {
        return;
    };
    let body = vec![b'x'; 20 << 20];
    for (token, status) in [("Bearer no", 401), ("bEARER gehëim", 413)] {
        let mut request = format!(
            "POST /cas HTTP/1.1\r\nhost: a\r\nauthorization: {token}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        )
        .into_bytes();
        request.extend(&body);
        let answer = service.raw(&request);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer:.200}");
        assert!(answer.contains("\"message\""), "{answer:.200}");
    }
}

#[test]
fn pages_of_other_origins_do_not_reach_in() {
    let Some(service) = Serving::new("origins", &["--cors-origin", "https://play.example"]) else { return };
    let ask = |host: &str, origin: &str| {
        service.raw(
            format!("GET /models HTTP/1.1\r\nhost: {host}\r\norigin: {origin}\r\nconnection: close\r\n\r\n")
                .as_bytes(),
        )
    };
    let friend = ask("localhost", "https://play.example");
    assert!(friend.contains("access-control-allow-origin: https://play.example"), "{friend}");
    assert!(!ask("localhost", "https://evil.example").contains("access-control-allow-origin"));
    assert!(ask("evil.example", "https://evil.example").starts_with("HTTP/1.1 403 "));
    // A page that may ask may read why it was refused, too.
    let lost = service.raw(b"GET /nowhere HTTP/1.1\r\nhost: localhost\r\norigin: https://play.example\r\nconnection: close\r\n\r\n");
    assert!(lost.starts_with("HTTP/1.1 404 ") && lost.contains("access-control-allow-origin"), "{lost}");
    assert!(lost.contains("retry-after") && lost.contains("content-type: application/json"), "{lost}");
    // A page may send what is no JSON without leave; nothing comes of it.
    let send = |origin: &str| {
        let origin = origin.replace("HOST", service.address());
        service.raw(
            format!(
                "POST /cas HTTP/1.1\r\nhost: {}\r\norigin: {origin}\r\ncontent-type: text/plain\r\ncontent-length: 1\r\nconnection: close\r\n\r\nx",
                service.address()
            )
            .as_bytes(),
        )
    };
    for stranger in ["https://evil.example", "null", "http://localhost:1"] {
        assert!(send(stranger).starts_with("HTTP/1.1 403 "), "{stranger}");
    }
    for friend in ["http://HOST", "https://play.example"] {
        assert!(send(friend).starts_with("HTTP/1.1 20"), "{friend}");
    }
    let leave = service.raw(b"OPTIONS /predict HTTP/1.1\r\nhost: localhost\r\norigin: https://play.example\r\naccess-control-request-method: POST\r\nconnection: close\r\n\r\n");
    assert!(leave.starts_with("HTTP/1.1 204 ") && leave.contains("access-control-allow-headers"), "{leave}");
}

#[test]
fn an_address_that_asks_too_often_is_told_when_to_come_back() {
    let Some(service) = Serving::new("pace", &["--rate-limit", "2"]) else { return };
    let body = json!({ "max_tokens": 3, "seed": 1 });
    let statuses: Vec<u16> = (0..3).map(|_| service.post("/predict", &body).status).collect();
    assert_eq!(statuses, [200, 200, 429]);
    let refused = service.post("/predict", &body);
    refused.is_problem(429, "rate_limited");
    assert!((1..=60).contains(&refused.header("retry-after").parse::<u32>().unwrap()));
    assert_eq!(service.get("/health").status, 200);
}

#[test]
fn the_description_is_openapi_and_lists_every_route() {
    let Some(service) = Serving::new("openapi", &[]) else { return };
    let description = service.get("/openapi.json").body;
    assert!(description["openapi"].as_str().unwrap().starts_with("3.1"));
    for (path, method) in [
        ("/health", "get"),
        ("/models", "get"),
        ("/predict", "post"),
        ("/generate/stream", "post"),
        ("/batch", "post"),
        ("/jobs", "post"),
        ("/jobs/{job_id}", "get"),
        ("/jobs/{job_id}", "delete"),
        ("/cas/{hash}", "get"),
        ("/v1/notes", "post"),
    ] {
        assert!(description["paths"][path][method].is_object(), "{method} {path}");
    }
}
