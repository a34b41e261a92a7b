//! Jobs, batches, the queue, limits of time, and going down.

mod serving;

use std::sync::Mutex;
use std::thread;

use serde_json::{Value, json};
use serving::Serving;

#[test]
fn a_job_goes_from_pending_to_complete() {
    let Some(service) = Serving::new("job", &[]) else { return };
    let body = json!({ "length_seconds": 5, "seed": 2 });
    let made = service.post("/jobs", &body);
    assert_eq!((made.status, made.body["status"].as_str()), (202, Some("pending")));
    let path = format!("/jobs/{}?wait=60", made.body["job_id"].as_str().unwrap());
    let job = service.get(&path).body;
    assert_eq!((&job["status"], &job["percent"]), (&json!("complete"), &json!(100)));
    assert_eq!(job["result"]["output_hash"], service.predict(&body)["output_hash"]);
    // It stays as it was.
    assert_eq!(service.get(&path).body["result"], job["result"]);
    let wrong = service.post("/jobs", &json!({ "task": "classify" })).body;
    let failed = service.get(&format!("/jobs/{}?wait=60", wrong["job_id"].as_str().unwrap())).body;
    assert_eq!(
        (&failed["status"], &failed["error"]["error"]),
        (&json!("failed"), &json!("model_unavailable"))
    );
    service.post("/jobs", &json!({ "top_p": 7 })).is_problem(422, "invalid_request");
}

#[test]
fn a_job_that_waits_can_be_called_off() {
    let Some(service) = Serving::new("waits", &["--workers", "1"]) else { return };
    let long = json!({ "length_seconds": 120, "num_variations": 8, "seed": 1 });
    let ids: Vec<String> =
        (0..2).map(|_| service.post("/jobs", &long).body["job_id"].as_str().unwrap().to_owned()).collect();
    let second = service.delete(&format!("/jobs/{}", ids[1])).body;
    assert_eq!(second["status"], "cancelled");
    service.delete(&format!("/jobs/{}", ids[0]));
    let first = service.get(&format!("/jobs/{}?wait=60", ids[0])).body;
    assert_eq!(first["status"], "cancelled");
    assert_eq!(service.predict(&json!({ "max_tokens": 3, "seed": 1 }))["tokens"], 3);
    service.delete("/jobs/job_none").is_problem(404, "invalid_request");
}

#[test]
fn what_waits_hears_at_once_that_it_was_called_off() {
    let Some(service) = Serving::new("hears", &["--workers", "1", "--queue", "1"]) else { return };
    let long = json!({ "length_seconds": 120, "num_variations": 8, "seed": 1 });
    let mut first = service.events("/generate/stream", &long);
    while first.next().unwrap()["type"] != "progress" {}
    let mut second = service.events("/generate/stream", &long);
    let start = second.next().unwrap();
    let path = format!("/jobs/{}", start["job_id"].as_str().unwrap());
    assert_eq!(service.delete(&path).body["status"], "cancelled");
    assert_eq!(second.next().unwrap(), json!({ "type": "cancelled", "tokens_so_far": 0 }));
    // It keeps no room either.
    let third = service.post("/jobs", &long);
    assert_eq!(third.status, 202, "{}", third.text);
    assert_eq!(first.next().unwrap()["type"], "progress");
    // A stream that nobody reads any more while it waits leaves no job that waits for ever.
    let third = third.body["job_id"].as_str().unwrap().to_owned();
    service.delete(&format!("/jobs/{third}"));
    let mut gone = service.events("/generate/stream", &long);
    let path = format!("/jobs/{}?wait=30", gone.next().unwrap()["job_id"].as_str().unwrap());
    drop(gone);
    assert_eq!(service.get(&path).body["status"], "cancelled");
    let text = service.get("/metrics").text;
    assert!(text.contains("continuo_errors_total{type=\"cancelled\"} 3"), "{text}");
}

#[test]
fn a_free_worker_is_room_though_nothing_may_wait() {
    let Some(service) = Serving::new("room", &["--workers", "2", "--queue", "0"]) else { return };
    let long = json!({ "length_seconds": 120, "num_variations": 8, "seed": 1 });
    let statuses: Vec<u16> = (0..3).map(|_| service.post("/jobs", &long).status).collect();
    assert_eq!(statuses, [202, 202, 429]);
}

#[test]
fn a_batch_keeps_its_order_and_its_errors_apart() {
    let Some(service) = Serving::new("batch", &[]) else { return };
    let seed = service.predict(&json!({ "length_seconds": 4, "seed": 1 }));
    let hash = &seed["output_hash"];
    let batch = json!({ "operations": [
        { "id": "gen1", "task": "continue", "input_hash": hash, "params": { "max_tokens": 60, "seed": 4 } },
        { "id": "bad", "task": "continue", "input_hash": "0".repeat(64) },
        { "id": "odd", "task": "generate", "params": { "top_p": "x" } },
        { "id": "gen2", "task": "generate_seeded", "seed_hash": hash, "params": { "max_tokens": 30, "seed": 5 } },
        { "task": "generate", "max_tokens": 3, "seed": 6 },
    ]});
    let done = service.post("/batch", &batch);
    assert_eq!(done.status, 200, "{}", done.text);
    let results = done.body["results"].as_array().unwrap();
    let column = |name: &str| results.iter().map(|one| one[name].clone()).collect::<Vec<_>>();
    assert_eq!(json!(column("id")), json!(["gen1", "bad", "odd", "gen2", "4"]));
    assert_eq!(json!(column("status")), json!(["success", "error", "error", "success", "success"]));
    assert_eq!(results[1]["error"]["error"], "invalid_request");
    assert!(results[0]["tokens"].as_u64().unwrap() <= 60 && results[3]["tokens"].as_u64().unwrap() <= 30);
    assert!(done.body["summary"].as_str().unwrap().starts_with("Completed 5 operations in "));
    let alone =
        service.predict(&json!({ "task": "continue", "input_hash": hash, "max_tokens": 60, "seed": 4 }));
    assert_eq!(results[0]["output_hash"], alone["output_hash"]);
    for count in [0, 33] {
        let operations = vec![json!({ "max_tokens": 3 }); count];
        service.post("/batch", &json!({ "operations": operations })).is_problem(422, "invalid_request");
    }
    service.post("/batch", &json!({ "operations": {} })).is_problem(422, "invalid_request");
    let some = json!([{ "max_tokens": 3 }, [], { "id": "x", "task": "dance" }, { "id": 7 }, { "tags": "a" }]);
    let done = service.post("/batch", &json!({ "operations": some }));
    assert_eq!(done.status, 200, "{}", done.text);
    let results = done.body["results"].as_array().unwrap();
    let states: Vec<&Value> = results.iter().map(|one| &one["status"]).collect();
    assert_eq!(json!(states), json!(["success", "error", "error", "error", "error"]));
    assert_eq!(results[2]["id"], "x");
    assert_eq!(results[2]["error"]["detail"][0]["loc"], json!(["body", "task"]));
}

#[test]
fn a_full_queue_says_when_to_come_back() {
    let Some(service) = Serving::new("full", &["--workers", "1", "--queue", "1"]) else { return };
    let long = json!({ "length_seconds": 120, "num_variations": 8, "seed": 1 });
    let mut events = service.events("/generate/stream", &long);
    // Under way once it has made something: the queue itself is empty then.
    while events.next().unwrap()["type"] != "progress" {}
    let waiting = service.post("/jobs", &long);
    assert_eq!(waiting.status, 202);
    let refused = service.post("/predict", &long);
    refused.is_problem(429, "rate_limited");
    assert!(refused.header("retry-after").parse::<u32>().unwrap() > 0);
    let mut older = long.clone();
    older["compat"] = json!({ "busy_status": 503 });
    for path in ["/predict", "/jobs", "/generate/stream"] {
        service.post(path, &older).is_problem(503, "rate_limited");
    }
    let text = service.get("/metrics").text;
    assert!(text.contains("continuo_errors_total{type=\"rate_limited\"} 4"), "{text}");
    let refused = "continuo_requests_total{task=\"generate\",outcome=\"error\"} 4";
    assert!(text.contains(refused), "{text}");
    assert_eq!(service.get("/health").status, 200);
}

#[test]
fn what_takes_too_long_ends_and_frees_its_worker() {
    let Some(service) = Serving::new("time", &["--workers", "1", "--timeout", "3"]) else { return };
    // Much longer than that on any machine; what comes after is over in no time.
    let long = json!({ "length_seconds": 120, "tempo_bpm": 300, "num_variations": 8, "seed": 1 });
    service.post("/predict", &long).is_problem(504, "timeout");
    assert_eq!(service.predict(&json!({ "max_tokens": 3, "seed": 1 }))["tokens"], 3);
}

#[test]
fn health_is_told_while_every_worker_is_busy() {
    let Some(service) = Serving::new("busy", &["--workers", "2"]) else { return };
    let long = json!({ "length_seconds": 120, "num_variations": 8, "seed": 1 });
    let mut open: Vec<_> = (0..2).map(|_| service.events("/generate/stream", &long)).collect();
    for events in &mut open {
        while events.next().unwrap()["type"] != "progress" {}
    }
    for _ in 0..50 {
        assert_eq!(service.get("/health").status, 200);
    }
    // They are still at it: none of the streams has ended.
    for events in &mut open {
        assert_eq!(events.next().unwrap()["type"], "progress");
    }
}

#[test]
fn many_at_once_all_get_their_own_answer() {
    let Some(service) = Serving::new("many", &[]) else { return };
    let ask =
        |seed: u64| service.predict(&json!({ "length_seconds": 3, "seed": seed }))["output_hash"].clone();
    let alone: Vec<Value> = (0..6).map(ask).collect();
    let together = Mutex::new(vec![Value::Null; 6]);
    thread::scope(|scope| {
        for seed in 0..6 {
            let (together, ask) = (&together, &ask);
            scope.spawn(move || {
                let hash = ask(seed);
                together.lock().unwrap()[usize::try_from(seed).unwrap()] = hash;
            });
        }
    });
    assert_eq!(*together.lock().unwrap(), alone);
}

#[cfg(unix)]
#[test]
fn it_stops_when_it_is_told_to_with_work_under_way() {
    let Some(mut service) = Serving::new("stop", &[]) else { return };
    let long = json!({ "length_seconds": 120, "num_variations": 8, "seed": 1 });
    let mut events = service.events("/generate/stream", &long);
    while events.next().unwrap()["type"] != "progress" {}
    let reader = thread::spawn(move || events.last().unwrap());
    let (status, said) = service.stop();
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(said.contains("stopping") && said.contains("peak_memory_bytes"), "{said}");
    let last = reader.join().unwrap();
    assert_eq!(last["problem"]["details"]["reason"], "interrupted", "{last}");
}

#[cfg(unix)]
#[test]
fn a_job_that_the_end_of_the_service_cut_off_was_interrupted() {
    let Some(mut service) = Serving::new("cut-off", &["--workers", "1"]) else { return };
    let long = json!({ "length_seconds": 120, "num_variations": 8, "seed": 1 });
    let ids: Vec<Value> = (0..2).map(|_| service.post("/jobs", &long).body["job_id"].clone()).collect();
    service.keep_home();
    let home = service.home.clone();
    let (status, said) = service.stop();
    assert_eq!(status.code(), Some(0), "{said}");
    let Some(service) = Serving::at("cut-off", home, &[]) else { return };
    for id in ids {
        let job = service.get(&format!("/jobs/{}", id.as_str().unwrap())).body;
        let found = (&job["status"], &job["error"]["details"]["reason"]);
        assert_eq!(found, (&json!("failed"), &json!("interrupted")), "{job}");
    }
}

#[test]
fn every_listed_task_can_be_called_and_no_other() {
    let Some(service) = Serving::new("models", &[]) else { return };
    let models = service.get("/models").body;
    assert_eq!(models["version"], "1.0.0");
    let made = service.predict(&json!({ "length_seconds": 4, "seed": 1 }));
    let ask = |task: &str| {
        let body = json!({
            "task": task, "midi_input": made["midi_output"], "section_a": made["midi_output"], "seed": 3,
            "length_seconds": 4
        });
        service.post("/predict", &body)
    };
    for (name, model) in models["models"].as_object().unwrap() {
        for task in model["capabilities"].as_array().unwrap() {
            let answer = ask(task.as_str().unwrap());
            assert_eq!(answer.status, 200, "{name} {task}: {}", answer.text);
        }
    }
    let models = &models["models"];
    assert_eq!(models["classifier"]["status"], "not_installed");
    assert_eq!(models["classifier"]["capabilities"], json!([]));
    ask("classify").is_problem(503, "model_unavailable");
    assert_eq!((&models["base"]["max_variations"], &models["base"]["max_tokens"]), (&json!(8), &json!(8192)));
    let heeds = |name: &str, wish: &str| {
        models[name]["supported_constraints"].as_array().unwrap().contains(&json!(wish))
    };
    assert!(heeds("base", "preserve_melody") && heeds("bridge", "vary_harmony"));
    for name in ["bridge", "loops"] {
        assert!(!heeds(name, "preserve_melody") && !heeds(name, "vary_rhythm") && heeds(name, "density"));
    }
    assert_eq!(models["bridge"]["requires"], json!(["section_a"]));
    assert!(models["small"]["remedy"].as_str().unwrap().contains("continuo models fetch small"));
}
