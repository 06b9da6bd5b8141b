//! The command line. Each flag has a variable: `--page-size` is `STREAMKEEPER_PAGE_SIZE`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::units;

/// A Durable Streams server: append-only streams over HTTP, each a supervised actor.
///
/// Streams live at http://HOST:PORT/v1/stream/NAME. Try it:
///
///   curl -X PUT  localhost:4437/v1/stream/hello -H 'Content-Type: text/plain'
///   curl -X POST localhost:4437/v1/stream/hello -H 'Content-Type: text/plain' -d 'hi there'
///   curl         localhost:4437/v1/stream/hello
///
/// Without a command it serves. The commands work on the directory of a log that no server has open.
#[derive(Debug, Parser)]
#[command(
    name = "streamkeeper",
    version,
    verbatim_doc_comment,
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    #[command(flatten)]
    pub(crate) serve: Serve,
}

/// What to do instead of serving.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Check(Check),
    Export(Export),
    Import(Import),
}

/// Look for damage in a log, and repair it
///
/// Reads every byte of the journal and of the filed segments, and sees that every stream has all of its
/// messages and that forks and sources know of each other. Changes nothing unless told to.
///
/// Exit status: 0 if nothing is wrong, 1 with findings (repaired or not), 2 if it could not look.
///
/// --repair first copies the damaged files to DIR/quarantine, as they are. Then it writes them anew
/// from what is intact: the whole journal becomes one filed segment, and damaged filed segments lose
/// their damaged blocks. Other streams are as they were. A stream that has lost something keeps what
/// lies before its first gap, but is marked: the server answers 500 `storage_corrupt` for it, until
/// you choose what is to become of it, at once or in a second run:
///
///   --repair --truncate-damaged   serve it up to its first gap
///   --repair --drop-damaged       drop it, name and all
///
/// A fork whose inherited part is lost has no beginning to serve; it stays marked until it is dropped.
/// Where a part is unreadable as a whole, such as the footer of a filed segment, nothing tells which
/// streams had their last records there, or all of them; the report says so.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Check {
    /// The directory of the log
    #[arg(value_name = "DIR")]
    pub(crate) dir: PathBuf,

    /// Repair what is damaged; damaged files are kept in DIR/quarantine
    #[arg(long)]
    pub(crate) repair: bool,

    /// Serve streams that have lost something, up to the first gap
    #[arg(long, requires = "repair", conflicts_with = "drop_damaged")]
    pub(crate) truncate_damaged: bool,

    /// Drop streams that have lost something
    #[arg(long, requires = "repair")]
    pub(crate) drop_damaged: bool,
}

/// Write the streams of a log as lines of JSON
///
/// Everything is in them: messages (base64), producers, TTL, closure, forks. The last line has a
/// checksum, so a file that was cut is noticed. A log that is damaged is not exported: see `check`.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Export {
    /// The directory of the log
    #[arg(value_name = "DIR")]
    pub(crate) dir: PathBuf,

    /// Only streams whose names begin so, and the sources whose data their forks inherit
    #[arg(long, value_name = "PREFIX", default_value = "", hide_default_value = true)]
    pub(crate) prefix: String,

    /// Where to write; - is standard output
    #[arg(long, short, value_name = "FILE", default_value = "-")]
    pub(crate) output: PathBuf,
}

/// Make a log from an export
///
/// All of it or nothing: the log is written to DIR.importing, checked, and then renamed to DIR. A file
/// that was cut or damaged, or that a newer version wrote, is refused.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Import {
    /// What `export` wrote; - is standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// The directory of the log; it must not be there, or be empty
    #[arg(value_name = "DIR")]
    pub(crate) dir: PathBuf,

    /// Move a log that is in DIR to DIR.replaced-1 (or -2, ...) instead of refusing
    #[arg(long)]
    pub(crate) replace: bool,
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
    #[arg(long, env = "STREAMKEEPER_STORAGE", default_value = "log", help_heading = "Storage")]
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

    /// How far the journal is written ahead with zeros, so that syncs have less to do; 0 (for file systems that copy on
    /// write) does not
    #[arg(
        long,
        env = "STREAMKEEPER_JOURNAL_AHEAD",
        default_value = "256KiB",
        value_name = "SIZE",
        value_parser = units::bytes,
        help_heading = "Storage"
    )]
    pub(crate) journal_ahead: u64,

    /// Most bytes of history that the log storage keeps in memory for the next who read the same; 0 keeps none
    #[arg(
        long,
        env = "STREAMKEEPER_READ_CACHE",
        default_value = "32MiB",
        value_name = "SIZE",
        value_parser = units::bytes,
        help_heading = "Storage"
    )]
    pub(crate) read_cache: u64,

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

    /// How long nobody must use a stream for it to go dormant; 0s: never
    #[arg(
        long,
        env = "STREAMKEEPER_DORMANT_AFTER",
        default_value = "60s",
        value_name = "TIME",
        value_parser = units::duration,
        help_heading = "Limits"
    )]
    pub(crate) dormant_after: Duration,

    /// Beyond so many awake streams, those that are not in use go dormant at once
    #[arg(
        long,
        env = "STREAMKEEPER_MAX_AWAKE_STREAMS",
        default_value = "10000",
        value_name = "NUMBER",
        help_heading = "Limits"
    )]
    pub(crate) max_awake_streams: usize,
    /// How often retention looks for streams that have something to drop
    #[arg(
        long,
        env = "STREAMKEEPER_RETENTION_INTERVAL",
        default_value = "30s",
        value_name = "TIME",
        value_parser = units::interval,
        help_heading = "Operation"
    )]
    pub(crate) retention_interval: Duration,

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

    /// The URL that clients know the server by, such as https://streams.example; by default it is taken
    /// from the Host of each request
    #[arg(
        long,
        env = "STREAMKEEPER_PUBLIC_URL",
        value_name = "URL",
        value_parser = units::public_url,
        help_heading = "Operation"
    )]
    pub(crate) public_url: Option<String>,

    /// Deliver webhooks to http://localhost and http://127.0.0.x too: for development, never where
    /// others may create subscriptions
    #[arg(long, env = "STREAMKEEPER_WEBHOOK_ALLOW_LOCALHOST", help_heading = "Webhooks")]
    pub(crate) webhook_allow_localhost: bool,

    /// How long a key signs webhooks before another one takes over
    #[arg(
        long,
        env = "STREAMKEEPER_WEBHOOK_KEY_LIFETIME",
        default_value = "90d",
        value_name = "TIME",
        value_parser = units::key_lifetime,
        help_heading = "Webhooks"
    )]
    pub(crate) webhook_key_lifetime: Duration,

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
