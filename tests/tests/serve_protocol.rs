//! docs/protocol.md against the service's own description: every route, and every field of what clients send and
//! get, with the same names.

mod serving;

use continuo_tests::require;
use serde_json::Value;
use serving::Serving;

/// Names in the first column of the table under a heading.
fn column(text: &str, heading: &str) -> Vec<String> {
    let section = text.split("\n## ").find(|part| part.starts_with(heading));
    let section = section.unwrap_or_else(|| panic!("docs/protocol.md has no section {heading:?}"));
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    rows.flat_map(|row| row.split('|').nth(1).unwrap_or("").split('`').skip(1).step_by(2).map(String::from))
        .collect()
}

fn fields(description: &Value, schema: &str) -> Vec<String> {
    let properties = description["components"]["schemas"][schema]["properties"].as_object();
    properties.unwrap_or_else(|| panic!("{schema} has no fields")).keys().cloned().collect()
}

#[test]
fn the_page_names_what_the_service_has() {
    let Some(service) = Serving::new("protocol", &[]) else { return };
    let description = service.get("/openapi.json").body;
    let text = std::fs::read_to_string(require::root().join("docs/protocol.md")).unwrap();
    let sorted = |mut all: Vec<String>| {
        all.sort();
        all
    };
    let mut routes: Vec<String> = Vec::new();
    for (path, methods) in description["paths"].as_object().unwrap() {
        routes.extend(
            methods.as_object().unwrap().keys().map(|method| format!("{} {path}", method.to_uppercase())),
        );
    }
    routes.push("GET /openapi.json".into());
    assert_eq!(sorted(column(&text, "Routes")), sorted(routes));
    for (heading, schema) in [
        ("Request", "Predict"),
        ("Constraints", "Wishes"),
        ("Answer", "Prediction"),
        ("Variations", "Variation"),
        ("Problems", "Problem"),
        ("Analysis", "Analyzed"),
        ("Notes", "Notes"),
    ] {
        assert_eq!(sorted(column(&text, heading)), sorted(fields(&description, schema)), "{heading}");
    }
}
