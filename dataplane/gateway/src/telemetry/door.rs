//! What happens before a request is one: certificates, handshakes, connections.

use super::Metrics;
use super::event::Event;
use crate::edge::tls::Terms;
use crate::edge::tls::pair::PairError;
use jiff::Timestamp;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Why.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct ReasonLabels {
    /// One of a few words.
    pub reason: &'static str,
}

/// Metrics of the traffic port.
#[derive(Default)]
pub struct Door {
    /// When the certificate that serves ends, Unix time.
    ends: Gauge,
    /// Certificates that were taken, the first one included.
    taken: Counter,
    /// Changes of the certificate's files that could not be used.
    unusable: Counter,
    /// Connections on which TLS did not come about.
    refused: Family<ReasonLabels, Counter>,
    /// HTTP/2 connections that were cut.
    cut: Family<ReasonLabels, Counter>,
}

impl Door {
    pub(super) fn register(&self, r: &mut Registry) {
        r.register(
            "tls_certificate_expiry_timestamp_seconds",
            "When the certificate of the traffic port ends, Unix time; 0 without one",
            self.ends.clone(),
        );
        r.register("tls_certificates", "Certificates taken, the first one included", self.taken.clone());
        r.register(
            "tls_certificates_refused",
            "Changes of the certificate's files that could not be used; the old one serves",
            self.unusable.clone(),
        );
        r.register(
            "tls_handshakes_refused",
            "Connections on which TLS did not come about, by reason",
            self.refused.clone(),
        );
        r.register("http2_connections_cut", "HTTP/2 connections that were cut, by reason", self.cut.clone());
    }
}

/// A certificate serves.
pub struct CertificateServes<'a> {
    /// With what else callers are answered.
    pub terms: &'a Terms,
}

impl Event for CertificateServes<'_> {
    fn emit(self, metrics: &Metrics) {
        let (pair, now) = (self.terms.pair(), Timestamp::now());
        metrics.door.ends.set(pair.validity.ends.as_second());
        metrics.door.taken.inc();
        let (begins, ends) = (pair.validity.begins, pair.validity.ends);
        if now < begins || now >= ends {
            tracing::warn!(certificate = pair.place, %begins, %ends, "the certificate is not valid now: callers will refuse it");
        } else {
            tracing::info!(certificate = pair.place, %ends, "the certificate serves");
        }
    }
}

/// The certificate's files were changed to something that cannot be used.
pub struct CertificateRefused<'a> {
    /// Which file, and why.
    pub why: &'a PairError,
}

impl Event for CertificateRefused<'_> {
    fn emit(self, metrics: &Metrics) {
        metrics.door.unusable.inc();
        tracing::error!(why = %self.why, "the changed certificate cannot be used: the old one serves");
    }
}

/// TLS did not come about on a connection.
pub struct HandshakeRefused<'a> {
    /// `plaintext`, `timeout`, `crowded` or `failed`.
    pub reason: &'static str,
    /// What rustls said.
    pub why: Option<&'a std::io::Error>,
}

impl Event for HandshakeRefused<'_> {
    fn emit(self, metrics: &Metrics) {
        metrics.door.refused.get_or_create(&ReasonLabels { reason: self.reason }).inc();
        // Anybody can cause these, as many as he likes.
        match self.why {
            Some(why) => tracing::debug!(reason = self.reason, %why, "no TLS handshake"),
            None => tracing::debug!(reason = self.reason, "no TLS handshake"),
        }
    }
}

/// An HTTP/2 connection was cut.
pub struct ConnectionCut {
    /// `resets`: more requests were taken back than is borne; `stalled`: nothing was taken of its answers.
    pub reason: &'static str,
}

impl Event for ConnectionCut {
    fn emit(self, metrics: &Metrics) {
        metrics.door.cut.get_or_create(&ReasonLabels { reason: self.reason }).inc();
        tracing::debug!(reason = self.reason, "an HTTP/2 connection was cut");
    }
}
