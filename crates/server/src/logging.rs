//! Log events, to standard error.

use std::io;

use tracing_subscriber::EnvFilter;

use crate::cli::LogFormat;

/// Starts logging. A filter that cannot be read is told, and `info` taken instead.
pub(crate) fn init(format: LogFormat, filter: &str) {
    // ractor wraps each actor in a span, which costs more than it tells; directives may ask for it.
    let (filter, error) = match EnvFilter::try_new(format!("ractor=warn,{filter}")) {
        Ok(filter) => (filter, None),
        Err(error) => (EnvFilter::new("ractor=warn,info"), Some(error)),
    };
    let events = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    match format {
        LogFormat::Text => events.init(),
        LogFormat::Json => events.json().init(),
    }
    if let Some(error) = error {
        tracing::warn!(%error, "the log filter cannot be read; logging at info");
    }
}
