//! Tidy: the invariants of ARCHITECTURE.md and the tables of README.md, checked against the code.
//!
//! Every check collects all that is wrong and fails with the list. Code means source without
//! comments and without unit tests.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Which of our crates each crate may depend on, by the folder's name. A `storage-` crate is a backend.
const DIRECTIONS: &[(&str, &[&str])] = &[
    ("protocol", &[]),
    ("storage", &["streamkeeper-protocol"]),
    ("storage-*", &["streamkeeper-protocol", "streamkeeper-storage"]),
    ("supervisor", &[]),
    ("streams", &["streamkeeper-protocol", "streamkeeper-storage", "streamkeeper-supervisor"]),
    ("http", &["streamkeeper", "streamkeeper-protocol", "streamkeeper-storage"]),
    ("webhook", &["streamkeeper"]),
    (
        "server",
        &[
            "streamkeeper",
            "streamkeeper-http",
            "streamkeeper-storage",
            "streamkeeper-storage-*",
            "streamkeeper-webhook",
        ],
    ),
    // Measures the binary from outside.
    ("bench", &["streamkeeper-conformance"]),
];

/// Which crates of others a crate must not depend on.
const NEVER_DEPENDS: &[(&str, &[&str])] = &[
    (
        "protocol",
        &["tokio", "axum", "ractor", "hyper", "http", "futures", "async-trait", "dashmap", "rand"],
    ),
    ("storage", &["axum", "http", "hyper", "ractor"]),
    ("supervisor", &["axum", "http", "hyper", "dashmap", "bytes"]),
    ("streams", &["axum", "http", "http-body", "hyper", "tower"]),
    ("http", &["ractor", "dashmap"]),
    ("webhook", &["axum", "ractor", "dashmap", "tower", "reqwest"]),
    ("server", &["ractor", "dashmap"]),
];

/// Words that the code below a folder must not hold, but for the files that may.
const NEVER_SAYS: &[(&str, &[&str], &[&str])] = &[
    (
        "crates/protocol/src",
        &["tokio", "axum", "ractor", "streamkeeper_", "async fn", ".await", "std::fs", "std::net"],
        &[],
    ),
    ("crates/protocol/src", &["std::thread", "SystemTime", "Instant", "rand::"], &[]),
    ("crates/streams/src", &["axum", "http::", "hyper", "StatusCode"], &[]),
    ("crates/http/src", &["ractor::", "streamkeeper_supervisor", "Storage::"], &[]),
    ("crates/webhook/src", &["axum", "ractor", "env::var"], &[]),
    ("crates/server/src", &["ractor::", "streamkeeper_supervisor"], &[]),
    ("crates/supervisor/src", &["streamkeeper_", "Offset", "Record"], &[]),
    (
        "crates",
        &["MemoryStorage"],
        &[
            "crates/storage/src/lib.rs",
            "crates/storage/src/memory.rs",
            "crates/streams/src/system.rs",
            "crates/server/src/serve.rs",
        ],
    ),
    (
        "crates",
        &["SystemTime", "std::time::Instant", "Utc::now", "Local::now"],
        &["crates/streams/src/clock.rs"],
    ),
    // Its ids hold the wall clock; the contract is a test.
    ("crates", &["now_v7"], &["crates/storage/src/contract.rs"]),
];

#[test]
fn dependencies_point_one_way() {
    let mut wrong = Vec::new();
    for folder in folders("crates") {
        let Some((_, allowed)) = DIRECTIONS.iter().find(|(row, _)| matches(row, &folder)) else {
            wrong.push(format!("crates/{folder} has no row in the table of directions"));
            continue;
        };
        let dependencies = dependencies(&folder);
        assert!(!dependencies.is_empty(), "crates/{folder} is read as having no dependencies");
        let ours = dependencies.iter().filter(|name| name.starts_with("streamkeeper"));
        for name in ours.filter(|name| !allowed.iter().any(|row| matches(row, name))) {
            wrong.push(format!("crates/{folder} must not depend on {name}"));
        }
        let banned = NEVER_DEPENDS.iter().filter(|(row, _)| *row == folder);
        for name in banned.flat_map(|(_, names)| *names) {
            if dependencies.contains(*name) {
                wrong.push(format!("crates/{folder} must not depend on {name}"));
            }
        }
    }
    report(wrong);
}

#[test]
fn absences_hold_in_the_code() {
    let mut wrong = Vec::new();
    for (folder, words, except) in NEVER_SAYS {
        let mut excused = BTreeSet::new();
        for file in sources(folder).into_iter().filter(|file| file.contains("/src/")) {
            let code = code(&file);
            for word in words.iter().filter(|word| code.contains(*word)) {
                match except.contains(&file.as_str()) {
                    true => drop(excused.insert(file.clone())),
                    false => wrong.push(format!("{file} must not say `{word}`")),
                }
            }
        }
        let idle = except.iter().filter(|file| !excused.contains(**file));
        wrong.extend(idle.map(|file| format!("{file} needs no exception for {words:?}")));
    }
    report(wrong);
}

#[test]
fn no_map_guard_lives_across_an_await() {
    let files = sources("crates").into_iter().filter(|file| file.contains("/src/"));
    let users: Vec<String> = files.filter(|file| code(file).contains("dashmap")).collect();
    assert!(!users.is_empty(), "nobody uses a map any more: drop this check");
    let awaits = users.iter().filter(|file| code(file).contains(".await"));
    report(awaits.map(|file| format!("{file} has a concurrent map and an await")).collect());
}

#[test]
fn no_channel_leaves_the_streams_crate() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for file in sources("crates/streams/src") {
        let code = code(&file);
        for item in code.split("pub ").skip(1) {
            let signature = item.split(['{', ';', '=']).next().unwrap_or_default();
            seen += 1;
            for word in ["ActorRef", "ActorCell", "Sender", "Receiver", "Semaphore", "DashMap"] {
                if signature.contains(word) {
                    wrong.push(format!("{file} makes `{}` public", signature.trim()));
                }
            }
        }
    }
    assert!(seen > 20, "only {seen} public items were found");
    report(wrong);
}

#[test]
fn files_are_short_documented_and_tested() {
    let ignore = concat!("#[", "ignore");
    let mut wrong = Vec::new();
    for file in ["crates", "conformance", "examples", "tests"].into_iter().flat_map(sources) {
        let text = read(&file);
        if !text.starts_with("//!") && !text.starts_with("#![doc") {
            wrong.push(format!("{file} does not say its job: it must begin with `//!`"));
        }
        if text.contains(ignore) {
            wrong.push(format!("{file} ignores a test"));
        }
        let lines = text.lines().count();
        if file.contains("/src/") && lines > 500 {
            wrong.push(format!("{file} has {lines} lines; split it by idea before 500"));
        }
    }
    report(wrong);
}

#[test]
fn the_readme_lists_every_error_code_and_no_other() {
    let readme = read("README.md");
    let rows = table(&readme, "### Error codes");
    let listed: BTreeSet<String> = rows.iter().map(|row| unquoted(&row[1])).collect();
    let mut made = literals(&code("crates/http/src/problem.rs"));
    made.remove("close"); // the value of `Connection`
    let codes = |file: &str| literals(&code(file)).into_iter().filter(|word| word.contains('_'));
    made.extend(sources("crates/http/src").iter().flat_map(|file| codes(file)));
    made.extend(codes("crates/server/src/health.rs"));
    report(difference("error code", &made, &listed));
}

#[test]
fn the_readme_lists_every_flag_with_its_variable_and_default() {
    let help = Command::new(env!("CARGO_BIN_EXE_streamkeeper")).arg("--help").env_clear().output();
    let help = String::from_utf8(help.expect("the binary runs").stdout).expect("help is text");
    let flags: BTreeSet<String> = flags(&help).iter().map(|flag| flag.join(" ")).collect();
    assert!(flags.len() > 10, "only {} flags were found in:\n{help}", flags.len());
    let readme = read("README.md");
    let rows = table(&readme, "## Configuration");
    let listed =
        rows.iter().map(|row| [&row[0], &row[1], &row[2]].map(|cell| unquoted(cell)).join(" "));
    report(difference("flag", &flags, &listed.collect()));
}

#[test]
fn the_readme_begins_with_the_two_commands_and_its_rust_is_compiled_elsewhere() {
    let readme = read("README.md");
    let mut wrong = Vec::new();
    for command in ["cargo run --release ", "cargo test "] {
        if !readme.lines().take(30).any(|line| line.starts_with(command)) {
            wrong.push(format!("README.md does not begin with `{command}`"));
        }
    }
    let trimmed = |text: &str| text.lines().map(str::trim).collect::<Vec<_>>().join("\n");
    let examples: Vec<String> =
        sources("examples").iter().map(|file| trimmed(&read(file))).collect();
    let snippets: Vec<&str> = readme.split("```rust\n").skip(1).collect();
    assert!(!snippets.is_empty(), "README.md has no Rust");
    for snippet in snippets {
        let snippet = trimmed(snippet.split("```").next().unwrap_or_default());
        if !examples.iter().any(|example| example.contains(&snippet)) {
            wrong.push(format!("no example has this Rust of README.md:\n{snippet}"));
        }
    }
    report(wrong);
}

#[test]
fn the_documents_name_files_that_exist() {
    let mut wrong = Vec::new();
    for document in ["README.md", "ARCHITECTURE.md", "CHANGELOG.md"] {
        let text = read(document);
        let quoted = text.split('`').skip(1).step_by(2);
        let is_path = |word: &&str| word.contains('/') && word.ends_with(".rs");
        for path in quoted.filter(is_path).filter(|path| !root().join(path).exists()) {
            wrong.push(format!("{document} names {path}, which is not there"));
        }
        if text.contains('\u{2014}') {
            wrong.push(format!("{document} has a dash that no keyboard has"));
        }
    }
    report(wrong);
}

fn report(wrong: Vec<String>) {
    assert!(wrong.is_empty(), "{} problem(s):\n{}", wrong.len(), wrong.join("\n"));
}

fn difference(what: &str, code: &BTreeSet<String>, readme: &BTreeSet<String>) -> Vec<String> {
    let missing = code.difference(readme).map(|x| format!("README.md lacks the {what} {x}"));
    let extra =
        readme.difference(code).map(|x| format!("README.md has the {what} {x}, the code not"));
    missing.chain(extra).collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The folders in a folder of the workspace that are packages.
fn folders(path: &str) -> Vec<String> {
    let entries =
        fs::read_dir(root().join(path)).expect("a folder").map(|entry| entry.expect("an entry"));
    let packages = entries.filter(|entry| entry.path().join("Cargo.toml").exists());
    packages.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// Every Rust file below a folder, as paths from the root of the workspace.
fn sources(path: &str) -> Vec<String> {
    let mut found = Vec::new();
    let entries = fs::read_dir(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    for entry in entries {
        let entry = entry.expect("an entry");
        let name = entry.file_name().to_string_lossy().into_owned();
        let inside = format!("{path}/{name}");
        if entry.path().is_dir() && !["node_modules", "target"].contains(&name.as_str()) {
            found.extend(sources(&inside));
        } else if name.ends_with(".rs") {
            found.push(inside);
        }
    }
    found
}

/// A file without its comments and its unit tests. What follows the tests counts again.
fn code(path: &str) -> String {
    let text = read(path);
    let (before, after) = match text.split_once("#[cfg(test)]\nmod tests {") {
        Some((before, tests)) => (before, tests.split_once("\n}\n").map_or("", |(_, rest)| rest)),
        None => (text.as_str(), ""),
    };
    let lines = before.lines().chain(after.lines());
    lines.filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// The names in `[dependencies]` of a crate.
fn dependencies(folder: &str) -> BTreeSet<String> {
    let manifest = read(&format!("crates/{folder}/Cargo.toml"));
    let lines = manifest.lines().skip_while(|line| *line != "[dependencies]").skip(1);
    let lines = lines.take_while(|line| !line.starts_with('['));
    let names = lines.filter_map(|line| line.split(['.', '=', ' ']).next());
    names.filter(|name| !name.is_empty() && !name.starts_with('#')).map(str::to_owned).collect()
}

/// Whether a row of a table is about a name; a row may end in `*`.
fn matches(row: &str, name: &str) -> bool {
    match row.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => row == name,
    }
}

/// The literals of lowercase letters and underscores.
fn literals(code: &str) -> BTreeSet<String> {
    let is_word = |text: &&str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    };
    let quoted = code.lines().flat_map(|line| line.split('"').skip(1).step_by(2));
    quoted.filter(is_word).map(str::to_owned).collect()
}

/// Flag, variable and default of everything in the help but `--help` and `--version`.
fn flags(help: &str) -> Vec<[String; 3]> {
    let mut flags: Vec<[String; 3]> = Vec::new();
    for line in help.lines().map(str::trim) {
        if line.starts_with("--") {
            let flag = line.split(' ').next().unwrap_or_default();
            flags.push([flag.to_owned(), String::new(), String::new()]);
        }
        let Some(last) = flags.last_mut() else { continue };
        if let Some(variable) = line.strip_prefix("[env: ") {
            variable.split('=').next().unwrap_or_default().clone_into(&mut last[1]);
        }
        if let Some(default) = line.strip_prefix("[default: ") {
            default.trim_end_matches(']').clone_into(&mut last[2]);
        }
    }
    flags
}

/// The cells of the rows of the table below a heading, without the table's own heading.
fn table(document: &str, heading: &str) -> Vec<Vec<String>> {
    let below = document.lines().skip_while(|line| *line != heading).skip(1);
    let section = below.take_while(|line| !line.starts_with('#'));
    let rows = section.filter(|line| line.starts_with('|')).skip(2);
    let cells = |row: &str| row.split('|').skip(1).map(|cell| cell.trim().to_owned()).collect();
    let rows: Vec<Vec<String>> = rows.map(cells).collect();
    assert!(!rows.is_empty(), "there is no table below `{heading}`");
    rows
}

fn unquoted(cell: &str) -> String {
    cell.trim_matches('`').to_owned()
}
