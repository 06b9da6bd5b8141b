//! The command line.

mod parse;

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand, value_parser};

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
    /// Make very many streams and one long one; print what they cost, and what a restart does
    Scale(Scale),
    /// Print the names of all scenarios with what they do
    List,
    /// Install the known peers from crates.io and npm
    InstallPeers {
        /// Where to; later given as --peers-dir
        #[arg(default_value = PEERS_DIR)]
        dir: PathBuf,
    },
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

/// Where peers are, unless told otherwise: out of the repository, whose files cargo and npm would read.
const PEERS_DIR: &str = "/tmp/peers";

/// How to compare.
#[derive(Debug, Args)]
pub(crate) struct Compare {
    /// Scenario to run; may be repeated. All, if none is named
    #[arg(long = "scenario", value_name = "NAME", value_parser = PossibleValuesParser::new(scenario::names()))]
    pub(crate) scenarios: Vec<String>,

    /// One short round with little data: shows that everything runs, measures nothing
    #[arg(long)]
    pub(crate) quick: bool,

    /// How often each target is measured in each scenario; targets take turns
    #[arg(long, default_value_t = 5, default_value_if("quick", "true", "1"),
          value_name = "N", value_parser = value_parser!(u32).range(1..))]
    pub(crate) rounds: u32,

    /// How long one measurement lasts, after its warm-up
    #[arg(long, default_value_t = 3.0, default_value_if("quick", "true", "1"),
          value_name = "SECONDS", value_parser = parse::seconds)]
    pub(crate) seconds: f64,

    /// How long one measurement is warmed up
    #[arg(long, default_value_t = 0.5, default_value_if("quick", "true", "0.2"),
          value_name = "SECONDS", value_parser = parse::seconds)]
    pub(crate) warm_up: f64,

    /// Size of the stream that is replayed (replay-*, mixed, retention)
    #[arg(long, default_value_t = 256, default_value_if("quick", "true", "32"),
          value_name = "MIB", value_parser = value_parser!(u64).range(1..))]
    pub(crate) replay_mib: u64,

    /// Size of the long stream (seek, history)
    #[arg(long, default_value_t = 256, default_value_if("quick", "true", "32"),
          value_name = "MIB", value_parser = value_parser!(u64).range(2..))]
    pub(crate) history_mib: u64,

    /// How many streams the scenario `memory` makes
    #[arg(long, default_value_t = 10_000, default_value_if("quick", "true", "1000"),
          value_name = "N", value_parser = parse::count)]
    pub(crate) memory_streams: usize,

    /// How long the scenario `memory` waits for streams to become dormant; 0 does not wait
    #[arg(long, default_value_t = 0, value_name = "SECONDS")]
    pub(crate) dormant_wait: u64,

    /// Appends a second of all writers together, where they keep a rate (mixed, retention)
    #[arg(long, default_value_t = 2000, default_value_if("quick", "true", "500"),
          value_name = "N", value_parser = value_parser!(u32).range(1..))]
    pub(crate) rate: u32,

    /// How many subscriptions the scenario `subscriptions` makes
    #[arg(long, default_value_t = 10_000, default_value_if("quick", "true", "100"),
          value_name = "N", value_parser = parse::count)]
    pub(crate) subscriptions: usize,

    /// How long a server may take over one measurement, preparation included, before it counts as failed
    #[arg(
        long,
        default_value_t = 300,
        default_value_if("quick", "true", "90"),
        value_name = "SECONDS"
    )]
    pub(crate) patience: u64,

    #[command(flatten)]
    pub(crate) servers: Servers,

    /// Write everything that was measured to a file
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

/// How to scale.
#[derive(Debug, Args)]
pub(crate) struct Scale {
    /// How many streams
    #[arg(long, default_value_t = 1_000_000, value_name = "N", value_parser = parse::count)]
    pub(crate) streams: usize,

    /// How long appends are measured at each step
    #[arg(long, default_value_t = 3.0, value_name = "SECONDS", value_parser = parse::seconds)]
    pub(crate) seconds: f64,

    /// How long to wait for the streams to become dormant before memory is read; 0 does not wait
    #[arg(long, default_value_t = 0, value_name = "SECONDS")]
    pub(crate) dormant_wait: u64,

    #[command(flatten)]
    pub(crate) servers: Servers,

    /// Write everything that was measured to a file
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

/// Which servers, and where they run.
#[derive(Debug, Clone, Args)]
pub(crate) struct Servers {
    /// Target to measure; may be repeated. If none is named: all that are found (scale: streamkeeper-log)
    #[arg(long = "target", value_name = "NAME")]
    pub(crate) targets: Vec<String>,

    /// Another server that speaks the protocol, by a command in which {port} and {dir} are replaced
    /// by a free port on 127.0.0.1 and an empty directory; may be repeated
    #[arg(long = "peer", value_name = "NAME=COMMAND", value_parser = parse::name_and_command)]
    pub(crate) peers: Vec<(String, String)>,

    /// Where `install-peers` put the known peers
    #[arg(long, env = "STREAMKEEPER_BENCH_PEERS", default_value = PEERS_DIR, value_name = "DIR")]
    pub(crate) peers_dir: PathBuf,

    /// Further argument of our own servers; may be repeated
    #[arg(long = "server-arg", value_name = "ARG", allow_hyphen_values = true)]
    pub(crate) server_args: Vec<String>,

    /// Cores of the servers, as taskset takes them: 0 or 0,1 or 0-3
    #[arg(long, default_value = "0", value_name = "CORES", value_parser = parse::cores)]
    pub(crate) server_cores: String,

    /// Cores of the load generator, which has as many threads
    #[arg(long, default_value = "1", value_name = "CORES", value_parser = parse::cores)]
    pub(crate) load_cores: String,

    /// Leave the placing on cores to the operating system
    #[arg(long)]
    pub(crate) no_pin: bool,
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

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn quick_changes_defaults_only() {
        let parse = |arguments: &[&str]| {
            let words = ["bench", "compare"].iter().chain(arguments);
            match Cli::try_parse_from(words).unwrap().command {
                Command::Compare(compare) => (compare.rounds, compare.seconds),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(parse(&[]), (5, 3.0));
        assert_eq!(parse(&["--quick"]), (1, 1.0));
        assert_eq!(parse(&["--quick", "--rounds", "2"]), (2, 1.0));
    }
}
