//! Answers against the service's own description, and against themselves with something changed: a description that would
//! let anything pass says nothing.

mod serving;

use serde_json::{Map, Value, json};
use serving::{Serving, encode, phrase};

/// The service's description.
struct Description(Value);

impl Description {
    fn schema(&self, name: &str) -> &Value {
        &self.0["components"]["schemas"][name]
    }

    /// Whether a value is as a schema says (JSON Schema 2020-12, as far as the description uses it).
    fn fits(&self, schema: &Value, value: &Value) -> bool {
        if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
            return self.fits(self.schema(name), value);
        }
        let list = |key: &str| schema[key].as_array().map(Vec::as_slice).unwrap_or_default();
        let number = |key: &str, fine: fn(f64, f64) -> bool| {
            let (limit, value) = (schema[key].as_f64(), value.as_f64());
            limit.zip(value).is_none_or(|(limit, value)| fine(value, limit))
        };
        list("allOf").iter().all(|one| self.fits(one, value))
            && (list("oneOf").is_empty() || list("oneOf").iter().any(|one| self.fits(one, value)))
            && (list("anyOf").is_empty() || list("anyOf").iter().any(|one| self.fits(one, value)))
            && (list("enum").is_empty() || list("enum").contains(value))
            && is_of(&schema["type"], value)
            && number("minimum", |value, limit| value >= limit)
            && number("maximum", |value, limit| value <= limit)
            && list("required").iter().all(|name| value.get(name.as_str().unwrap()).is_some())
            && value.as_array().is_none_or(|all| all.iter().all(|one| self.fits(&schema["items"], one)))
            && value.as_object().is_none_or(|fields| self.fields(schema, fields))
    }

    fn fields(&self, schema: &Value, fields: &Map<String, Value>) -> bool {
        fields.iter().all(|(name, value)| self.fits(&schema["properties"][name], value))
    }

    /// Names of the fields of a schema, those of its parts too.
    fn names(&self, schema: &Value) -> Vec<String> {
        if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
            return self.names(self.schema(name));
        }
        let parts = schema["allOf"].as_array().into_iter().flatten().flat_map(|one| self.names(one));
        schema["properties"]
            .as_object()
            .into_iter()
            .flat_map(|all| all.keys().cloned())
            .chain(parts)
            .collect()
    }
}

/// Whether a value has one of the types of a schema; any, where it names none.
fn is_of(kinds: &Value, value: &Value) -> bool {
    let is = |kind: &Value| match kind.as_str().unwrap_or("") {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("a type {other:?}"),
    };
    match kinds {
        Value::Array(all) => all.iter().any(is),
        Value::Null => true,
        one => is(one),
    }
}

/// Paths to all that a document holds, but itself.
fn paths(value: &Value, at: &str, all: &mut Vec<String>) {
    let mut inside = |name: &str, value: &Value| {
        all.push(format!("{at}/{name}"));
        paths(value, &format!("{at}/{name}"), all);
    };
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| inside(name, value)),
        Value::Array(list) => list.iter().enumerate().for_each(|(i, value)| inside(&i.to_string(), value)),
        _ => {}
    }
}

fn description(service: &Serving) -> Description {
    Description(service.get("/openapi.json").body)
}

#[test]
fn an_answer_is_as_described_and_nothing_else_passes_for_one() {
    let Some(service) = Serving::new("described", &[]) else { return };
    let description = description(&service);
    let file = encode(&phrase("demo.mid"));
    for (path, schema, body) in [
        (
            "/predict",
            "Prediction",
            json!({ "max_tokens": 30, "num_variations": 2, "client_job_id": "a", "seed": 1 }),
        ),
        (
            "/predict",
            "Prediction",
            json!({ "task": "continue", "midi_input": file, "max_tokens": 30, "seed": 1 }),
        ),
        ("/predict", "Prediction", json!({ "task": "embed", "midi_input": file })),
        ("/analyze", "Analyzed", json!({ "midi_input": file })),
        ("/predict", "Problem", json!({ "top_p": 7 })),
    ] {
        let answer = service.post(path, &body).body;
        let schema = description.schema(schema);
        assert!(description.fits(schema, &answer), "{answer}");
        let names = description.names(schema);
        let told = answer.as_object().unwrap().keys();
        assert_eq!(told.filter(|name| !names.contains(name)).collect::<Vec<_>>(), [""; 0], "undescribed");
        let mut places = Vec::new();
        paths(&answer, "", &mut places);
        // Numbers of a vector are all alike.
        places.retain(|place| !place.starts_with("/embedding") || place.ends_with("/0"));
        for place in places.iter().filter(|place| !place.starts_with("/details/")) {
            let mut wrong = answer.clone();
            let there = wrong.pointer_mut(place).unwrap();
            *there = if there.is_boolean() { json!("no") } else { json!(true) };
            assert!(!description.fits(schema, &wrong), "{place} may be {}", wrong.pointer(place).unwrap());
        }
        for name in schema["required"].as_array().into_iter().flatten().map(|name| name.as_str().unwrap()) {
            let mut wrong = answer.clone();
            wrong.as_object_mut().unwrap().remove(name);
            assert!(!description.fits(schema, &wrong), "without {name}");
        }
    }
}

#[test]
fn an_answer_has_the_fields_that_older_clients_read() {
    let Some(service) = Serving::new("fields", &[]) else { return };
    let done = service.predict(&json!({ "max_tokens": 30, "client_job_id": "a", "seed": 1 }));
    for place in [
        "/task",
        "/variations/0/midi_base64",
        "/variations/0/num_events",
        "/variations/0/duration_seconds",
        "/metadata/model_size",
        "/metadata/client_job_id",
        "/midi_output",
        "/num_tokens",
        "/meta/client_job_id",
    ] {
        assert!(done.pointer(place).is_some_and(|value| !value.is_null()), "{place} in {done}");
    }
    assert!(done["midi_output"].as_str().unwrap().starts_with("TVRoZ"));
}

#[test]
fn a_field_of_another_type_is_refused_by_its_name() {
    let Some(service) = Serving::new("types", &[]) else { return };
    let description = description(&service);
    let names = description.names(description.schema("Predict"));
    assert!(names.len() > 20, "{names:?}");
    // A name for the job that is none is passed over, as it always was.
    for name in names.iter().filter(|name| *name != "client_job_id") {
        let schema = &description.schema("Predict")["properties"][name];
        let wrong = [json!({ "a": [1] }), json!([{ "a": 1 }]), json!("\u{1}"), json!(-1e300), json!(true)];
        let wrong: Vec<&Value> = wrong.iter().filter(|value| !description.fits(schema, value)).collect();
        assert!(!wrong.is_empty(), "{name} may be anything");
        for value in wrong {
            let mut body = json!({ "max_tokens": 3 });
            body[name] = value.clone();
            let answer = service.post("/predict", &body);
            answer.is_problem(422, "invalid_request");
            let place = answer.body["detail"][0]["loc"].to_string();
            assert!(place.contains(name.as_str()), "{name}: {value} is told at {place}");
        }
    }
}
