//! Traces and metrics over OTLP, where a collector is named. Nothing here fails a request, and nothing is traced but
//! what this file is asked to: the exporter's own calls make no spans.

use std::time::Duration;

use axum::http::HeaderMap;
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::{Span as _, SpanKind, Status, Tracer, TracerProvider};
use opentelemetry::{Context, InstrumentationScope, KeyValue, Value};
use opentelemetry_otlp::{ExporterBuildError, MetricExporter, Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracerProvider, Span as SdkSpan};

use continuo_remote::wire::SERVICE_VERSION;

/// How long an export may take, and all that is left at the end.
const EXPORT: Duration = Duration::from_secs(2);

/// Where traces and metrics go.
#[derive(Default)]
pub struct Telemetry {
    tracer: Option<SdkTracerProvider>,
    meter: Option<SdkMeterProvider>,
}

/// A collector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collector {
    /// With its scheme.
    endpoint: String,
    http: bool,
}

impl Collector {
    /// That of the command line, else that of the environment, if either names one.
    pub fn named(own: Option<&str>) -> Option<Self> {
        let variable = |name| std::env::var(name).ok().filter(|value: &String| !value.trim().is_empty());
        if variable("OTEL_SDK_DISABLED").is_some_and(|value| value.trim().eq_ignore_ascii_case("true")) {
            return None;
        }
        let endpoint = own.map(String::from).or_else(|| variable("OTEL_EXPORTER_OTLP_ENDPOINT"))?;
        Some(Self::at(&endpoint, variable("OTEL_EXPORTER_OTLP_PROTOCOL").as_deref()))
    }

    /// Without a scheme it is plain HTTP, as the collectors of older services are named. Port 4318 is that of
    /// OTLP over HTTP.
    fn at(endpoint: &str, protocol: Option<&str>) -> Self {
        let endpoint = endpoint.trim().trim_end_matches('/');
        let has_scheme = endpoint.contains("://");
        let endpoint = if has_scheme { endpoint.to_owned() } else { format!("http://{endpoint}") };
        let http = match protocol {
            Some(protocol) => protocol.trim().starts_with("http"),
            None => endpoint.ends_with(":4318"),
        };
        Self { endpoint, http }
    }

    /// Where it listens, "host:port".
    pub fn address(&self) -> String {
        let (scheme, rest) = self.endpoint.split_once("://").unwrap_or(("http", &self.endpoint));
        let host = rest.split('/').next().unwrap_or(rest);
        // A colon within brackets is one of an IPv6 address.
        let has_port = host.rsplit(']').next().is_some_and(|end| end.contains(':'));
        match (has_port, scheme) {
            (true, _) => host.to_owned(),
            (false, "https") => format!("{host}:443"),
            (false, _) => format!("{host}:80"),
        }
    }

    fn spans(&self) -> Result<SpanExporter, ExporterBuildError> {
        if !self.http {
            return SpanExporter::builder()
                .with_tonic()
                .with_endpoint(&self.endpoint)
                .with_timeout(EXPORT)
                .build();
        }
        let endpoint = format!("{}/v1/traces", self.endpoint);
        let exporter = SpanExporter::builder().with_http().with_protocol(Protocol::HttpBinary);
        exporter.with_endpoint(endpoint).with_timeout(EXPORT).build()
    }

    fn metrics(&self) -> Result<MetricExporter, ExporterBuildError> {
        if !self.http {
            return MetricExporter::builder()
                .with_tonic()
                .with_endpoint(&self.endpoint)
                .with_timeout(EXPORT)
                .build();
        }
        let endpoint = format!("{}/v1/metrics", self.endpoint);
        let exporter = MetricExporter::builder().with_http().with_protocol(Protocol::HttpBinary);
        exporter.with_endpoint(endpoint).with_timeout(EXPORT).build()
    }
}

impl Telemetry {
    /// Sends to a collector in the name of `service`. Needs the current runtime. Whether the collector is there
    /// is not asked.
    pub fn to(collector: Option<Collector>, service: &str) -> anyhow::Result<Self> {
        let Some(collector) = collector else { return Ok(Self::default()) };
        continuo_remote::with_tls();
        let resource = Resource::builder()
            .with_service_name(format!("{service}-api"))
            .with_attribute(KeyValue::new("service.version", SERVICE_VERSION))
            .build();
        // The HTTP exporter brings a runtime of its own, which may not be made within another.
        let runtime = tokio::runtime::Handle::current();
        let built = std::thread::scope(|scope| {
            let make = || {
                let _inside = (!collector.http).then(|| runtime.enter());
                Ok::<_, ExporterBuildError>((collector.spans()?, collector.metrics()?))
            };
            scope.spawn(make).join()
        });
        let wrong = || anyhow::anyhow!("no exporter for {}", collector.endpoint);
        let (spans, metrics) =
            built.map_err(|_| wrong())?.map_err(|error| wrong().context(error.to_string()))?;
        let tracer =
            SdkTracerProvider::builder().with_batch_exporter(spans).with_resource(resource.clone()).build();
        let meter =
            SdkMeterProvider::builder().with_periodic_exporter(metrics).with_resource(resource).build();
        Ok(Self { tracer: Some(tracer), meter: Some(meter) })
    }

    /// Where instruments are made, if metrics are sent.
    pub fn meter(&self) -> Option<&SdkMeterProvider> {
        self.meter.as_ref()
    }

    /// A span for a task, in the trace of the caller if it has one.
    pub fn span(&self, name: &'static str, parent: &Context) -> Span {
        let Some(provider) = &self.tracer else { return Span(None) };
        let scope = InstrumentationScope::builder("continuo").with_version(env!("CARGO_PKG_VERSION")).build();
        let tracer = provider.tracer_with_scope(scope);
        let builder = tracer.span_builder(name).with_kind(SpanKind::Server);
        Span(Some(tracer.build_with_context(builder, parent)))
    }

    /// Sends what is left, and stops. Waits a few seconds at the most.
    pub fn end(&self) {
        // Whoever listened may be gone.
        if let Some(tracer) = &self.tracer {
            let _ = tracer.shutdown_with_timeout(EXPORT);
        }
        if let Some(meter) = &self.meter {
            let _ = meter.shutdown_with_timeout(EXPORT);
        }
    }
}

/// A span, or nothing where no traces are sent. It ends when it is dropped.
pub struct Span(Option<SdkSpan>);

impl Span {
    /// Says something about it.
    pub fn set(&mut self, name: &'static str, value: impl Into<Value>) {
        if let Some(span) = &mut self.0 {
            span.set_attribute(KeyValue::new(name, value));
        }
    }

    /// It failed.
    pub fn fail(&mut self, kind: &'static str, why: &str) {
        self.set("error.type", kind);
        if let Some(span) = &mut self.0 {
            span.set_status(Status::error(why.to_owned()));
        }
    }

    /// Its trace and itself, in hexadecimal digits.
    pub fn ids(&self) -> (Option<String>, Option<String>) {
        let Some(span) = &self.0 else { return (None, None) };
        let context = span.span_context();
        (Some(context.trace_id().to_string()), Some(context.span_id().to_string()))
    }
}

/// The caller's trace, by the W3C headers `traceparent` and `tracestate`.
pub fn parent(headers: &HeaderMap) -> Context {
    struct Headers<'a>(&'a HeaderMap);
    impl Extractor for Headers<'_> {
        fn get(&self, key: &str) -> Option<&str> {
            self.0.get(key).and_then(|value| value.to_str().ok())
        }
        fn keys(&self) -> Vec<&str> {
            self.0.keys().map(axum::http::HeaderName::as_str).collect()
        }
    }
    TraceContextPropagator::new().extract_with_context(&Context::new(), &Headers(headers))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn collectors_are_found_under_any_of_their_names() {
        for (named, protocol, endpoint, http, address) in [
            ("localhost:4317", None, "http://localhost:4317", false, "localhost:4317"),
            ("http://localhost:4318", None, "http://localhost:4318", true, "localhost:4318"),
            ("127.0.0.1:9", Some("http/protobuf"), "http://127.0.0.1:9", true, "127.0.0.1:9"),
            ("http://a:4318/", Some("grpc"), "http://a:4318", false, "a:4318"),
            (
                "https://otel.example/x",
                Some("http/protobuf"),
                "https://otel.example/x",
                true,
                "otel.example:443",
            ),
            ("http://[::1]", None, "http://[::1]", false, "[::1]:80"),
        ] {
            let collector = Collector::at(named, protocol);
            assert_eq!((collector.endpoint.as_str(), collector.http), (endpoint, http), "{named}");
            assert_eq!(collector.address(), address);
        }
    }
}
