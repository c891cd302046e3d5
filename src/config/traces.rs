//! Where traces go, and how many: the standard variables of OpenTelemetry, `OTEL_...`.
//!
//! Guarantees that no header is printed: they are how a collector knows who sends.

use std::collections::HashMap;
use std::fmt;

use url::Url;

use super::lookup::SettingLookup;
use super::problem::Refusal;

/// Where traces go.
#[derive(Clone, Debug)]
pub(crate) struct Traces {
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`, with the path of traces.
    pub endpoint: Url,
    /// `OTEL_EXPORTER_OTLP_HEADERS`.
    pub headers: ExportHeaders,
    /// `OTEL_SERVICE_NAME`.
    pub service_name: String,
    /// `OTEL_TRACES_SAMPLER`, as the share of traces that are kept.
    pub sample_ratio: f64,
}

/// Headers of each export, with their values percent-encoded.
#[derive(Clone, Default)]
pub(crate) struct ExportHeaders(pub HashMap<String, String>);

impl fmt::Debug for ExportHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// The part that the ratio plays.
#[derive(Clone, Copy)]
enum Sampler {
    All,
    Nothing,
    Ratio,
}

/// `None`: there are no traces.
pub(super) fn resolve(read: &mut SettingLookup<'_>) -> Option<Traces> {
    let endpoint = read.optional("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint);
    let headers = read.secret(
        "OTEL_EXPORTER_OTLP_HEADERS",
        "OTEL_EXPORTER_OTLP_HEADERS_FILE",
        headers,
    );
    let service_name = read.value("OTEL_SERVICE_NAME", service_name);
    let sampler = read.value("OTEL_TRACES_SAMPLER", sampler);
    let ratio = read.value("OTEL_TRACES_SAMPLER_ARG", ratio);
    Some(Traces {
        endpoint: endpoint?,
        headers: headers.map(|(headers, _)| headers).unwrap_or_default(),
        service_name,
        sample_ratio: match sampler {
            Sampler::All => 1.0,
            Sampler::Nothing => 0.0,
            Sampler::Ratio => ratio,
        },
    })
}

/// The place of traces below that of all signals (OTLP specification, "Endpoint URLs for OTLP/HTTP").
fn endpoint(text: &str) -> Result<Url, Refusal> {
    let accepted =
        "the URL of a collector that takes OTLP over HTTP, such as http://127.0.0.1:4318";
    let mut url = Url::parse(text).map_err(|_| Refusal::accepts(accepted))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(Refusal::because("it is no http or https URL", accepted));
    }
    if !url.username().is_empty() || url.password().is_some() {
        let why = "a user belongs into OTEL_EXPORTER_OTLP_HEADERS, which is not printed";
        return Err(Refusal::because(why, accepted));
    }
    let path = format!("{}/v1/traces", url.path().trim_end_matches('/'));
    url.set_path(&path);
    Ok(url)
}

fn headers(text: &str) -> Result<ExportHeaders, Refusal> {
    let accepted = "headers as name=value, comma separated, with values percent-encoded";
    let headers = text.split(',').map(str::trim).map(|header| {
        let (name, value) = header.split_once('=').map(|(n, v)| (n.trim(), v.trim()))?;
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let is_value = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
        let is_good = !name.is_empty() && name.bytes().all(is_name) && value.bytes().all(is_value);
        is_good.then(|| (name.to_ascii_lowercase(), value.to_owned()))
    });
    let headers: Option<_> = headers.collect();
    headers
        .map(ExportHeaders)
        .ok_or_else(|| Refusal::accepts(accepted))
}

fn service_name(text: &str) -> Result<String, Refusal> {
    if text.chars().any(char::is_alphanumeric) && !text.contains(char::is_control) {
        return Ok(text.to_owned());
    }
    Err(Refusal::accepts("a name with a letter or a digit in it"))
}

/// Every trace begins here, so that whether a parent decides is no question.
fn sampler(text: &str) -> Result<Sampler, Refusal> {
    match text.strip_prefix("parentbased_").unwrap_or(text) {
        "always_on" => Ok(Sampler::All),
        "always_off" => Ok(Sampler::Nothing),
        "traceidratio" => Ok(Sampler::Ratio),
        _ => Err(Refusal::accepts(
            "always_on, always_off or traceidratio, each also with parentbased_ before it",
        )),
    }
}

fn ratio(text: &str) -> Result<f64, Refusal> {
    let ratio = text.parse().ok();
    let ratio = ratio.filter(|ratio| (0.0..=1.0).contains(ratio));
    ratio.ok_or_else(|| Refusal::accepts("a share from 0 to 1, such as 0.1"))
}
