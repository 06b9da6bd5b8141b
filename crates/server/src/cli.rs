//! The command line. Each flag has a variable: `--page-size` is `STREAMKEEPER_PAGE_SIZE`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, ValueEnum};

use crate::units;

/// A Durable Streams server: append-only streams over HTTP, each a supervised actor.
///
/// Streams live at http://HOST:PORT/v1/stream/NAME. Try it:
///
///   curl -X PUT  localhost:4437/v1/stream/hello -H 'Content-Type: text/plain'
///   curl -X POST localhost:4437/v1/stream/hello -H 'Content-Type: text/plain' -d 'hi there'
///   curl         localhost:4437/v1/stream/hello
#[derive(Debug, Parser)]
#[command(name = "streamkeeper", version, verbatim_doc_comment)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) serve: Serve,
}

/// What the server is to be.
#[derive(Debug, Clone, Args)]
pub(crate) struct Serve {
    /// Address and port to listen on; port 0 takes a free one
    #[arg(
        long,
        env = "STREAMKEEPER_LISTEN",
        default_value = "127.0.0.1:4437",
        value_name = "ADDR"
    )]
    pub(crate) listen: SocketAddr,

    /// What keeps the streams
    #[arg(long, env = "STREAMKEEPER_STORAGE", default_value = "memory", help_heading = "Storage")]
    pub(crate) storage: StorageKind,

    /// Where the log storage keeps its files
    #[arg(
        long,
        env = "STREAMKEEPER_DATA_DIR",
        default_value = "./streamkeeper-data",
        value_name = "DIR",
        help_heading = "Storage"
    )]
    pub(crate) data_dir: PathBuf,

    /// How large a journal segment of the log storage grows before it is filed by stream
    #[arg(
        long,
        env = "STREAMKEEPER_JOURNAL_SEGMENT_SIZE",
        default_value = "64MiB",
        value_name = "SIZE",
        value_parser = units::segment_bytes,
        help_heading = "Storage"
    )]
    pub(crate) journal_segment_size: u64,

    /// Most bytes of messages that the memory storage keeps; more is answered with 507
    #[arg(
        long,
        env = "STREAMKEEPER_MEMORY_LIMIT",
        default_value = "4GiB",
        value_name = "SIZE",
        value_parser = units::bytes,
        help_heading = "Storage"
    )]
    pub(crate) memory_limit: u64,

    /// Most bytes of messages in one response, unless one message alone is larger
    #[arg(
        long,
        env = "STREAMKEEPER_PAGE_SIZE",
        default_value = "1MiB",
        value_name = "SIZE",
        value_parser = units::page_bytes,
        help_heading = "Reads"
    )]
    pub(crate) page_size: u64,

    /// How long a long-poll waits for news
    #[arg(
        long,
        env = "STREAMKEEPER_LONG_POLL_TIMEOUT",
        default_value = "30s",
        value_name = "TIME",
        value_parser = units::duration,
        help_heading = "Reads"
    )]
    pub(crate) long_poll_timeout: Duration,

    /// After how long a server-sent-events connection is recycled
    #[arg(
        long,
        env = "STREAMKEEPER_SSE_LIFETIME",
        default_value = "60s",
        value_name = "TIME",
        value_parser = units::duration,
        help_heading = "Reads"
    )]
    pub(crate) sse_lifetime: Duration,

    /// Who may cache pages of history
    #[arg(long, env = "STREAMKEEPER_CACHE", default_value = "public", help_heading = "Reads")]
    pub(crate) cache: Cache,

    /// Largest request body; a larger one is answered with 413
    #[arg(
        long,
        env = "STREAMKEEPER_MAX_BODY",
        default_value = "16MiB",
        value_name = "SIZE",
        value_parser = units::request_bytes,
        help_heading = "Limits"
    )]
    pub(crate) max_body: usize,

    /// How long a request body may stall before it is answered with 408
    #[arg(
        long,
        env = "STREAMKEEPER_BODY_TIMEOUT",
        default_value = "30s",
        value_name = "TIME",
        value_parser = units::duration,
        help_heading = "Limits"
    )]
    pub(crate) body_timeout: Duration,

    /// Most bytes of requests that may wait in the server; more is answered with 503
    #[arg(
        long,
        env = "STREAMKEEPER_MAX_PENDING",
        default_value = "256MiB",
        value_name = "SIZE",
        value_parser = units::request_bytes,
        help_heading = "Limits"
    )]
    pub(crate) max_pending: usize,

    /// Most bytes of requests that may wait at one stream; more is answered with 503
    #[arg(
        long,
        env = "STREAMKEEPER_MAX_PENDING_PER_STREAM",
        default_value = "64MiB",
        value_name = "SIZE",
        value_parser = units::request_bytes,
        help_heading = "Limits"
    )]
    pub(crate) max_pending_per_stream: usize,

    /// How long a shutdown may take
    #[arg(
        long,
        env = "STREAMKEEPER_SHUTDOWN_TIMEOUT",
        default_value = "10s",
        value_name = "TIME",
        value_parser = units::duration,
        help_heading = "Operation"
    )]
    pub(crate) shutdown_timeout: Duration,

    /// Believe X-Forwarded-Proto and X-Forwarded-Host, because a proxy in front sets them
    #[arg(long, env = "STREAMKEEPER_TRUST_FORWARDED", help_heading = "Operation")]
    pub(crate) trust_forwarded: bool,

    /// How log events are written to standard error
    #[arg(
        long,
        env = "STREAMKEEPER_LOG_FORMAT",
        default_value = "text",
        help_heading = "Operation"
    )]
    pub(crate) log_format: LogFormat,

    /// What is logged: a level, or directives such as `info,streamkeeper=debug`
    #[arg(
        long,
        env = "STREAMKEEPER_LOG_LEVEL",
        default_value = "info",
        value_name = "FILTER",
        help_heading = "Operation"
    )]
    pub(crate) log_level: String,
}

/// What keeps the streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum StorageKind {
    /// In memory: fast, and gone when the server stops
    Memory,
    /// On disk, in the data directory; what is acknowledged is synced
    Log,
}

/// Who may cache pages of history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Cache {
    /// Shared caches too
    Public,
    /// Only the reader's own
    Private,
}

/// How log events are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_flag_has_its_variable() {
        for argument in Cli::command().get_arguments() {
            let Some(long) = argument.get_long().filter(|long| !["help", "version"].contains(long))
            else {
                continue;
            };
            let variable = format!("STREAMKEEPER_{}", long.replace('-', "_").to_uppercase());
            assert_eq!(argument.get_env().and_then(|env| env.to_str()), Some(variable.as_str()));
        }
    }
}
