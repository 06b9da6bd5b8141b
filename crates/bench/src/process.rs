//! What `/proc` tells: a process's processor time and memory, and the machine.

use std::fs;
use std::io;

use serde::Serialize;

/// How many files a run may need: ten thousand subscribers, with room.
const OPEN_FILES: u64 = 65_536;

/// Raises the limit on open files as far as the system allows. Children inherit it.
pub(crate) fn raise_open_files() -> io::Result<()> {
    rlimit::increase_nofile_limit(OPEN_FILES).map(drop)
}

/// The unit of processor time in `/proc/PID/stat`, in Hz: the same on every Linux that Rust runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// The seconds of processor time that a process has used, in user and system mode; 0 if unknown.
pub(crate) fn cpu_seconds(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    cpu_ticks(&stat).unwrap_or(0) as f64 / TICKS_PER_SECOND
}

/// The resident memory of a process, in MiB; 0 if unknown.
pub(crate) fn resident_mib(pid: u32) -> f64 {
    memory_mib(pid, "VmRSS")
}

/// The most memory that a process ever had resident, in MiB; 0 if unknown.
pub(crate) fn peak_mib(pid: u32) -> f64 {
    memory_mib(pid, "VmHWM")
}

fn memory_mib(pid: u32, name: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    field(&status, name).and_then(kib).unwrap_or(0.0) / 1024.0
}

/// How many files a process has open; 0 if unknown.
pub(crate) fn open_files(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}

/// The fields 14 and 15 of `/proc/PID/stat`. The second field, the name, may hold spaces and brackets.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// The value of a `name : value` line.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    lines.map(|(key, value)| (key.trim(), value.trim())).find(|(key, _)| *key == name).map(|f| f.1)
}

fn kib(value: &str) -> Option<f64> {
    value.strip_suffix("kB")?.trim().parse().ok()
}

/// The machine of a run.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Machine {
    /// How many cores this process may use.
    cores: usize,
    cpu: String,
    kernel: String,
}

impl Machine {
    pub(crate) fn read() -> Self {
        let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Self {
            cores: cpus.lines().filter(|line| line.starts_with("processor")).count(),
            cpu: field(&cpus, "model name").unwrap_or("unknown").to_owned(),
            kernel: kernel.trim().to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_read_behind_any_name() {
        let stat = "77 (a ) b) S 1 77 77 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 3 0 9 1 2";
        assert_eq!(cpu_ticks(stat), Some(300));
        assert_eq!(cpu_ticks(""), None);
    }

    #[test]
    fn memory_is_read_from_status() {
        let status = "Name:\tx\nVmPeak:\t  900 kB\nVmRSS:\t  2048 kB\n";
        assert_eq!(field(status, "VmRSS").and_then(kib), Some(2048.0));
        assert_eq!(field(status, "VmSwap"), None);
    }
}
