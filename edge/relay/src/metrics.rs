//! What a relay counts, in the text form that Prometheus reads. Never a mailbox, never an address.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use vmux_proto::mailbox::CloseReason;

use crate::shared::Shared;

/// The numbers of one relay; cheap to clone, readable while and after it serves.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Arc<Registry>,
}

impl Metrics {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let mut registry = Registry::with_prefix("vmux_relay");
        registry.register_collector(Box::new(Numbers(shared)));
        Self {
            registry: Arc::new(registry),
        }
    }

    /// The numbers as text.
    pub fn render(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }

    /// A page `/metrics`, to be served where only the operator reaches it.
    pub fn routes(self) -> Router {
        Router::new().route("/metrics", get(move || async move { self.page() }))
    }

    fn page(&self) -> Response {
        match self.render() {
            Ok(text) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
            Err(fmt::Error) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    }
}

#[derive(Debug)]
struct Numbers(Arc<Shared>);

impl Collector for Numbers {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let now = self.0.counts();
        let refused = self.0.refused.load(Ordering::Relaxed);
        for (name, help, value) in [
            ("arrivals", "Ends that took a seat", now.arrivals),
            ("meetings", "Times that two ends met", now.meetings),
            ("frames", "Frames passed on", now.frames),
            ("frame_bytes", "Bytes of frames passed on", now.bytes),
            (
                "stale_frames",
                "Frames dropped because their meeting was over",
                now.stale_frames,
            ),
            (
                "refused",
                "Connections refused by a limit before they took a seat",
                refused,
            ),
        ] {
            write(&mut encoder, name, help, &ConstCounter::new(value))?;
        }
        for (name, help, value) in [
            ("ends", "Open connections of ends", now.ends),
            (
                "mailboxes",
                "Mailboxes with at least one end",
                now.mailboxes,
            ),
            (
                "queued_bytes",
                "Bytes that wait for ends to read them",
                now.queued_bytes,
            ),
        ] {
            write(&mut encoder, name, help, &ConstGauge::new(value))?;
        }
        let kind = ConstCounter::new(0_u64).metric_type();
        let mut family = encoder.encode_descriptor("closes", "Ends closed", None, kind)?;
        for reason in CloseReason::ALL {
            let closed = now.closes.get(&reason).copied().unwrap_or_default();
            let label = [("reason", reason.name())];
            ConstCounter::new(closed).encode(family.encode_family(&label)?)?;
        }
        Ok(())
    }
}

fn write(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    metric: &impl EncodeMetric,
) -> fmt::Result {
    metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)
}

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
