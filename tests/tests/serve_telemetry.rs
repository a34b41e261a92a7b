//! Traces and metrics, as a real collector receives them over OTLP; and a service that has none.
#![cfg(unix)] // services are ended by a signal

mod serving;

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value as Any};
use opentelemetry_proto::tonic::metrics::v1::{metric::Data, number_data_point::Value as Number};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use serde_json::json;
use serving::Serving;
use tonic::{Request, Response, Status};

/// What was received.
#[derive(Clone, Default)]
struct Heard {
    traces: Arc<Mutex<Vec<ExportTraceServiceRequest>>>,
    metrics: Arc<Mutex<Vec<ExportMetricsServiceRequest>>>,
}

#[tonic::async_trait]
impl TraceService for Heard {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.traces.lock().unwrap().push(request.into_inner());
        Ok(Response::new(Default::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Heard {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        self.metrics.lock().unwrap().push(request.into_inner());
        Ok(Response::new(Default::default()))
    }
}

/// A collector that speaks gRPC, on a thread of its own.
fn collector() -> (Heard, SocketAddr) {
    let heard = Heard::default();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    let own = heard.clone();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let incoming = tonic::transport::server::TcpIncoming::from(listener);
            tonic::transport::Server::builder()
                .add_service(TraceServiceServer::new(own.clone()))
                .add_service(MetricsServiceServer::new(own))
                .serve_with_incoming(incoming)
                .await
                .unwrap();
        });
    });
    (heard, address)
}

/// A collector that speaks HTTP: protobuf in the bodies of POST requests.
fn collector_http() -> (Heard, SocketAddr) {
    let heard = Heard::default();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let own = heard.clone();
    std::thread::spawn(move || {
        for socket in listener.incoming().map_while(Result::ok) {
            let heard = own.clone();
            std::thread::spawn(move || {
                let mut reader = BufReader::new(socket);
                while let Some((path, body)) = request(&mut reader) {
                    match path.as_str() {
                        "/v1/traces" => {
                            heard.traces.lock().unwrap().push(Message::decode(&body[..]).unwrap());
                        }
                        "/v1/metrics" => {
                            heard.metrics.lock().unwrap().push(Message::decode(&body[..]).unwrap());
                        }
                        other => panic!("{other}"),
                    }
                    let _ = reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
                }
            });
        }
    });
    (heard, address)
}

/// Path and body of the next request of a connection.
fn request(reader: &mut impl BufRead) -> Option<(String, Vec<u8>)> {
    let (mut line, mut length) = (String::new(), 0);
    reader.read_line(&mut line).ok().filter(|size| *size > 0)?;
    let path = line.split(' ').nth(1)?.to_owned();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        if let Some(size) = header.to_ascii_lowercase().strip_prefix("content-length:") {
            length = size.trim().parse().unwrap();
        }
        if header.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((path, body))
}

fn texts(attributes: &[KeyValue]) -> HashMap<String, String> {
    let shown = |value: &Any| match value {
        Any::StringValue(text) => text.clone(),
        Any::IntValue(number) => number.to_string(),
        other => format!("{other:?}"),
    };
    let value = |one: &KeyValue| one.value.as_ref().and_then(|any| any.value.as_ref()).map(shown);
    attributes.iter().map(|one| (one.key.clone(), value(one).unwrap_or_default())).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Heard {
    fn spans(&self) -> Vec<Span> {
        let traces = self.traces.lock().unwrap();
        let resources = traces.iter().flat_map(|request| &request.resource_spans);
        resources.flat_map(|one| &one.scope_spans).flat_map(|scope| scope.spans.clone()).collect()
    }

    /// Names of metrics that were received with at least one value.
    fn metrics(&self) -> Vec<String> {
        let metrics = self.metrics.lock().unwrap();
        let resources = metrics.iter().flat_map(|request| &request.resource_metrics);
        let all = resources.flat_map(|one| &one.scope_metrics).flat_map(|scope| &scope.metrics);
        all.filter(|metric| metric.data.is_some()).map(|metric| metric.name.clone()).collect()
    }

    /// The newest value of a count with such attributes, or the number of what a histogram holds and its sum.
    fn value(&self, name: &str, wanted: &[(&str, &str)]) -> Option<(f64, f64)> {
        let metrics = self.metrics.lock().unwrap();
        let resources = metrics.iter().flat_map(|request| &request.resource_metrics);
        let all = resources.flat_map(|one| &one.scope_metrics).flat_map(|scope| &scope.metrics);
        let fits = |attributes: &[KeyValue]| {
            let told = texts(attributes);
            wanted.iter().all(|(key, value)| told.get(*key).is_some_and(|one| one == value))
        };
        let last =
            all.filter(|metric| metric.name == name).filter_map(|metric| match metric.data.as_ref()? {
                Data::Sum(sum) => {
                    let own = sum.data_points.iter().filter(|point| fits(&point.attributes));
                    let values: Vec<f64> = own
                        .filter_map(|point| match point.value? {
                            Number::AsInt(number) => Some(number as f64),
                            Number::AsDouble(number) => Some(number),
                        })
                        .collect();
                    (!values.is_empty()).then(|| (values.iter().sum(), 0.0))
                }
                Data::Histogram(histogram) => {
                    let own = histogram.data_points.iter().filter(|point| fits(&point.attributes));
                    let points: Vec<(f64, f64)> =
                        own.map(|point| (point.count as f64, point.sum.unwrap_or(0.0))).collect();
                    points.into_iter().reduce(|a, b| (a.0 + b.0, a.1 + b.1))
                }
                _ => None,
            });
        last.last()
    }

    fn resource(&self) -> HashMap<String, String> {
        texts(&self.traces.lock().unwrap()[0].resource_spans[0].resource.as_ref().unwrap().attributes)
    }
}

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

/// Asks for one of each task, in the caller's trace, and one that fails; ends the service, and looks at what
/// was received.
fn asked(mut service: Serving, heard: &Heard) {
    let parent = format!("00-{TRACE}-{PARENT}-01");
    let seed = service.predict(&json!({ "length_seconds": 2, "seed": 1 }));
    let hash = &seed["output_hash"];
    let body = json!({ "task": "continue", "input_hash": hash, "max_tokens": 30, "seed": 1, "client_job_id": "mine-7" });
    let done = service.post_with("/predict", &body, &[("traceparent", &parent)]);
    assert_eq!(done.status, 200, "{}", done.text);
    assert_eq!(done.body["metadata"]["trace_id"], TRACE);
    let embedded = service.predict(&json!({ "task": "embed", "input_hash": hash }));
    service.post("/predict", &json!({ "task": "classify" })).is_problem(503, "model_unavailable");
    for (task, field) in
        [("bridge", "section_a_hash"), ("loops", "input_hash"), ("generate_seeded", "seed_hash")]
    {
        service.predict(&json!({ "task": task, field: hash, "max_tokens": 30, "seed": 1 }));
    }
    service.post("/predict", &json!({ "top_p": 7 })).is_problem(422, "invalid_request");
    let streamed = service.events("/generate/stream", &json!({ "max_tokens": 30, "seed": 2 })).count();
    assert!(streamed >= 2);
    let (status, said) = service.stop();
    assert_eq!(status.code(), Some(0), "{said}");

    let spans = heard.spans();
    // One for each request for work, and none for what sends them.
    let mut names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        ["bridge", "classify", "continue", "embed", "generate", "generate", "generate_seeded", "loops"]
    );
    let resource = heard.resource();
    assert_eq!(
        (resource["service.name"].as_str(), resource["service.version"].as_str()),
        ("anticipatory-api", "2.0.0")
    );
    let named = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
    let continued = named("continue");
    assert_eq!((hex(&continued.trace_id), hex(&continued.parent_span_id)), (TRACE.into(), PARENT.into()));
    assert_eq!(done.body["meta"]["span_id"], hex(&continued.span_id));
    let told = texts(&continued.attributes);
    assert_eq!((told["task"].as_str(), told["max_tokens"].as_str()), ("continue", "30"));
    for task in ["bridge", "loops", "generate_seeded"] {
        let told = texts(&named(task).attributes);
        let values = ["task", "max_tokens", "model_size"].map(|key| told[key].as_str());
        assert_eq!(values, [task, "30", "default"]);
        assert_eq!(named(task).status.as_ref().map_or(0, |status| status.code), 0);
    }
    let embedded_most = texts(&named("embed").attributes)["max_tokens"].clone();
    assert_eq!(embedded_most, "8192");
    assert_eq!((told["mcp.client_job_id"].as_str(), told["model_size"].as_str()), ("mine-7", "default"));
    assert_eq!(told["request_id"], done.header("x-request-id"));
    assert_eq!(embedded["metadata"]["trace_id"], hex(&named("embed").trace_id));
    assert!(named("embed").parent_span_id.is_empty());
    let failed = named("classify").status.as_ref().unwrap();
    assert_eq!(failed.code, 2);
    let metrics = heard.metrics();
    for name in
        ["requests", "errors", "tokens", "queue_wait", "work", "batch_size", "queue_depth", "gpu_busy"]
    {
        assert!(metrics.iter().any(|one| one == name), "{name} in {metrics:?}");
    }
    let count = |name, wanted: &[(&str, &str)]| heard.value(name, wanted).map(|(count, _)| count);
    assert_eq!(count("requests", &[("task", "generate"), ("outcome", "success")]), Some(2.0));
    assert_eq!(count("requests", &[("task", "classify"), ("outcome", "error")]), Some(1.0));
    assert_eq!(count("errors", &[("type", "model_unavailable")]), Some(1.0));
    assert_eq!(count("errors", &[("type", "invalid_request")]), Some(1.0));
    assert_eq!(count("errors", &[("type", "timeout")]), None);
    let tokens: f64 =
        spans.iter().map(|span| texts(&span.attributes)["tokens"].parse::<f64>().unwrap()).sum();
    assert_eq!(count("tokens", &[]), Some(tokens));
    // Each of the eight waited, if not for long; what was music was stepped.
    assert_eq!(count("queue_wait", &[]), Some(8.0));
    assert!(heard.value("batch_size", &[]).is_some_and(|(count, sum)| count >= 6.0 && sum >= count));
}

#[test]
fn spans_and_metrics_arrive_over_grpc() {
    let (heard, address) = collector();
    // As older services name their collector: without a scheme.
    let endpoint = format!("localhost:{}", address.port());
    let Some(service) = Serving::with("grpc", &[], &[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)]) else {
        return;
    };
    asked(service, &heard);
}

#[test]
fn spans_and_metrics_arrive_over_http() {
    let (heard, address) = collector_http();
    let endpoint = format!("http://{address}");
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
    ];
    let Some(service) = Serving::with("http", &[], &variables) else { return };
    asked(service, &heard);
}

#[test]
fn a_task_that_takes_too_long_is_a_span_that_failed() {
    let (heard, address) = collector();
    let endpoint = address.to_string();
    let Some(mut service) = Serving::new("late", &["--timeout", "3", "--otlp", &endpoint]) else { return };
    let long = json!({ "length_seconds": 120, "tempo_bpm": 300, "num_variations": 8, "seed": 1 });
    service.post("/predict", &long).is_problem(504, "timeout");
    assert_eq!(service.predict(&json!({ "max_tokens": 3, "seed": 1 }))["tokens"], 3);
    let odd = service.predict(&json!({ "max_tokens": 4, "seed": 1 }));
    assert_eq!(odd["tokens"], 3);
    let _ = service.stop();
    let spans = heard.spans();
    assert!(spans.iter().any(|span| texts(&span.attributes)["max_tokens"] == "4"));
    let status = |span: &Span| span.status.as_ref().map_or(0, |status| status.code);
    assert_eq!(spans.iter().map(status).filter(|code| *code == 2).count(), 1);
    let failed = spans.iter().find(|span| status(span) == 2).unwrap();
    assert_eq!(texts(&failed.attributes)["error.type"], "timeout");
}

#[test]
fn a_request_that_finds_no_room_is_a_span_that_failed() {
    let (heard, address) = collector();
    let endpoint = address.to_string();
    let arguments = ["--workers", "1", "--queue", "0", "--otlp", &endpoint];
    let Some(mut service) = Serving::new("no-room", &arguments) else { return };
    let long = json!({ "length_seconds": 120, "num_variations": 8, "seed": 1 });
    let job = service.post("/jobs", &long).body;
    service.post("/predict", &json!({ "task": "loops" })).is_problem(429, "rate_limited");
    service.delete(&format!("/jobs/{}", job["job_id"].as_str().unwrap()));
    let (_, said) = service.stop();
    let spans = heard.spans();
    let refused = spans.iter().find(|span| span.name == "loops").unwrap_or_else(|| panic!("{said}"));
    assert_eq!(texts(&refused.attributes)["error.type"], "rate_limited");
    assert_eq!(refused.status.as_ref().unwrap().code, 2);
}

#[test]
fn a_collector_that_is_away_changes_nothing() {
    // One that refuses, and one that takes connections and never says a word.
    let refused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    for (index, address) in [refused, silent.local_addr().unwrap()].into_iter().enumerate() {
        let test = format!("away-{index}");
        let Some(mut service) = Serving::new(&test, &["--otlp", &address.to_string()]) else { return };
        for seed in 0..3 {
            let done = service.predict(&json!({ "max_tokens": 9, "seed": seed }));
            assert_eq!(done["metadata"]["trace_id"].as_str().unwrap().len(), 32);
        }
        let began = Instant::now();
        let (status, said) = service.stop();
        assert_eq!(status.code(), Some(0), "{said}");
        // Not a measure of speed: it ends at all, and does not wait for what will not come.
        assert!(began.elapsed() < Duration::from_secs(60));
    }
}

#[test]
fn figures_are_told_as_prometheus_reads_them() {
    let Some(service) = Serving::new("prometheus", &[]) else { return };
    service.predict(&json!({ "max_tokens": 30, "seed": 1, "num_variations": 2 }));
    service.post("/predict", &json!({ "task": "classify" })).is_problem(503, "model_unavailable");
    let answer = service.get("/metrics");
    assert!(answer.header("content-type").starts_with("text/plain; version=0.0.4"));
    let value = |name: &str| -> f64 {
        let line = answer.text.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("no {name} in {}", answer.text)).trim().parse().unwrap()
    };
    assert_eq!(value("continuo_requests_total{task=\"generate\",outcome=\"success\"}"), 1.0);
    assert_eq!(value("continuo_errors_total{type=\"model_unavailable\"}"), 1.0);
    assert_eq!(value("continuo_tokens_total"), 60.0);
    assert_eq!(value("continuo_queue_wait_seconds_count"), 2.0);
    assert_eq!(value("continuo_queue_waiting"), 0.0);
    // Both variations were stepped together, but for the first tokens.
    assert!(value("continuo_batch_size_sum") > 1.5);
    for line in answer.text.lines().filter(|line| !line.starts_with('#')) {
        let (name, number) = line.rsplit_once(' ').unwrap();
        assert!(
            number.parse::<f64>().is_ok() && name.starts_with(|c: char| c.is_ascii_lowercase()),
            "{line}"
        );
    }
}

#[test]
fn each_request_and_each_piece_of_work_is_a_line() {
    let Some(mut service) = Serving::new("lines", &["--log", "json"]) else { return };
    let body = json!({ "max_tokens": 3, "seed": 1, "client_job_id": "mine" });
    service.post_with("/predict", &body, &[("x-request-id", "my-number")]);
    service.get("/nowhere");
    let (_, said) = service.stop();
    let lines: Vec<serde_json::Value> =
        said.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let find = |event: &str, field: &str, value: &str| {
        lines
            .iter()
            .find(|line| line["event"] == event && line[field] == value)
            .unwrap_or_else(|| panic!("{said}"))
    };
    let work = find("work", "request_id", "my-number");
    assert_eq!(
        (&work["task"], &work["client_job_id"], &work["tokens"]),
        (&json!("generate"), &json!("mine"), &json!(3))
    );
    assert_eq!(find("request", "path", "/predict")["request_id"], "my-number");
    assert_eq!(find("request", "path", "/nowhere")["status"], 404);
}
