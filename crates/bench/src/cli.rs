//! The command line.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand};

use crate::scenario::{self, Scenario};

/// Measures streamkeeper beside other servers, in one run, and prints ratios.
#[derive(Debug, Parser)]
#[command(name = "streamkeeper-bench", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run scenarios against every target in interleaved rounds, and print a table
    Compare(Compare),
    /// Be the target `axum`
    #[command(hide = true)]
    ServeAxum {
        /// Port on 127.0.0.1
        port: u16,
    },
    /// Be the target `raw`
    #[command(hide = true)]
    ServeRaw {
        /// Port on 127.0.0.1
        port: u16,
    },
}

/// How to compare.
#[derive(Debug, Args)]
pub(crate) struct Compare {
    /// Scenario to run; may be repeated. All, if none is named
    #[arg(long = "scenario", value_name = "NAME", value_parser = PossibleValuesParser::new(scenario::names()))]
    pub(crate) scenarios: Vec<String>,

    /// Target to measure; may be repeated. All that are found, if none is named
    #[arg(long = "target", value_name = "NAME")]
    pub(crate) targets: Vec<String>,

    /// Another server that speaks the protocol, by a command in which {port} and {dir} are replaced
    /// by a free port on 127.0.0.1 and an empty directory; may be repeated
    #[arg(long = "peer", value_name = "NAME=COMMAND", value_parser = name_and_command)]
    pub(crate) peers: Vec<(String, String)>,

    /// Where the README's command installs the known peers
    #[arg(
        long,
        env = "STREAMKEEPER_BENCH_PEERS",
        default_value = "/tmp/peers",
        value_name = "DIR"
    )]
    pub(crate) peers_dir: PathBuf,

    /// How often each target is measured in each scenario; targets take turns
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: u32,

    /// How long one measurement lasts, after its warm-up
    #[arg(long, default_value_t = 3.0, value_name = "SECONDS", value_parser = positive)]
    pub(crate) seconds: f64,

    /// How long one measurement is warmed up
    #[arg(long, default_value_t = 0.5, value_name = "SECONDS", value_parser = positive)]
    pub(crate) warm_up: f64,

    /// How much the replay scenario stores and reads again and again
    #[arg(long, default_value_t = 256, value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) replay_mib: u64,

    /// Core of the servers
    #[arg(long, default_value_t = 0, value_name = "CORE")]
    pub(crate) server_core: usize,

    /// Core of the load generator
    #[arg(long, default_value_t = 1, value_name = "CORE")]
    pub(crate) load_core: usize,

    /// Leave the placing on cores to the operating system
    #[arg(long)]
    pub(crate) no_pin: bool,

    /// Write everything that was measured to a file
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

impl Compare {
    /// The scenarios to run, in the order of the list.
    pub(crate) fn scenarios(&self) -> Vec<&'static Scenario> {
        let named = |scenario: &&Scenario| {
            self.scenarios.is_empty() || self.scenarios.iter().any(|name| name == scenario.name)
        };
        scenario::ALL.iter().filter(named).collect()
    }
}

fn name_and_command(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, command)) if !name.is_empty() && !command.is_empty() => {
            Ok((name.to_owned(), command.to_owned()))
        }
        _ => Err("expected NAME=COMMAND".to_owned()),
    }
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds > 0.0 && seconds < 3600.0 => Ok(seconds),
        _ => Err("expected a number of seconds above 0".to_owned()),
    }
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
    fn a_peer_is_a_name_and_a_command() {
        let peer = name_and_command("a=env X=1 server --port {port}").unwrap();
        assert_eq!(peer, ("a".to_owned(), "env X=1 server --port {port}".to_owned()));
        assert!(name_and_command("server").is_err() && name_and_command("=x").is_err());
    }
}
