//! A checkpoint that was fetched through a mirror of the Hub answers for its size; without it the service says where to put one.

#[allow(dead_code)]
mod golden;
#[allow(dead_code)]
mod hub;
mod serving;

use std::path::{Path, PathBuf};
use std::process::Command;

use hub::Hub;
use serde_json::json;
use serving::Serving;

/// `continuo models fetch small` from a mirror, into the cache that the service looks at.
fn fetch(continuo: &Path, home: &Path, endpoint: &str) {
    let done = Command::new(continuo)
        .args(["models", "fetch", "small"])
        .env("HOME", home)
        .env("XDG_DATA_HOME", home.join("data"))
        .env("HF_HUB_CACHE", home.join("hub"))
        .env("HF_ENDPOINT", endpoint)
        .env_remove("HF_HUB_OFFLINE")
        .env_remove("HF_TOKEN")
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

fn home(test: &str) -> PathBuf {
    let home = std::env::temp_dir().join(format!("continuo-serve-{}-{test}", std::process::id()));
    std::fs::create_dir_all(&home).unwrap();
    home
}

#[test]
fn what_a_mirror_gave_plays_also_without_the_network() {
    let Some(continuo) = serving::binary("fetched") else { return };
    let model = golden::folder().join("model");
    let read = |file: &str| std::fs::read(model.join(file)).unwrap();
    let hub = Hub::start([
        ("config.json".to_owned(), read("config_inv.json")),
        ("model.safetensors".to_owned(), read("model.safetensors")),
    ]);
    let body = json!({ "model_size": "small", "max_tokens": 30, "length_seconds": 60, "seed": 3 });
    let home = home("fetched");
    // It is not there: the answer says where it belongs.
    let absent = Serving::with_home(
        "absent-offline",
        home.clone(),
        &["--strict-models", "--state", "memory"],
        &[("HF_HUB_OFFLINE", "1"), ("HF_ENDPOINT", "http://127.0.0.1:1")],
    );
    let Some(mut absent) = absent else { return };
    absent.keep_home();
    let refused = absent.post("/predict", &body);
    refused.is_problem(503, "model_unavailable");
    let place = home.join("data/continuo/models/music-small-800k");
    assert_eq!(refused.body["details"]["path"], place.to_str().unwrap(), "{}", refused.text);
    assert!(refused.text.contains("continuo models fetch small"), "{}", refused.text);
    drop(absent);

    fetch(&continuo, &home, &hub.endpoint());
    let asked = hub.requests.lock().unwrap().len();
    assert!(asked > 0);
    let offline = [("HF_HUB_OFFLINE", "1"), ("HF_ENDPOINT", "http://127.0.0.1:1")];
    let Some(service) = Serving::with_home("fetched", home, &["--strict-models"], &offline) else { return };
    let done = service.predict(&body);
    assert_eq!((&done["model_size"], &done["metadata"]["model_size"]), (&json!("small"), &json!("small")));
    assert!(done["metadata"].get("warnings").is_none(), "{}", done["metadata"]);
    assert!(done["tokens"].as_u64().unwrap() > 0);
    let small = &service.get("/models").body["models"]["small"];
    assert_eq!(small["status"], "available", "{small}");
    assert_eq!(hub.requests.lock().unwrap().len(), asked, "the service asked nobody");
}
