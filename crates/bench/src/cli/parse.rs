//! Values of flags.

/// `NAME=COMMAND`, for a peer.
pub(super) fn name_and_command(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, command)) if !name.is_empty() && !command.is_empty() => {
            Ok((name.to_owned(), command.to_owned()))
        }
        _ => Err("expected NAME=COMMAND".to_owned()),
    }
}

/// A number of seconds, in which something can be measured.
pub(super) fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds > 0.0 && seconds < 3600.0 => Ok(seconds),
        _ => Err("expected a number of seconds above 0".to_owned()),
    }
}

/// A number of things, at least one.
pub(super) fn count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count) if count > 0 => Ok(count),
        _ => Err("expected a number above 0".to_owned()),
    }
}

/// A list of cores, as `taskset` takes it.
pub(super) fn cores(text: &str) -> Result<String, String> {
    match crate::pinning::cores(text) {
        Some(_) => Ok(text.to_owned()),
        None => Err("expected cores, such as 0 or 0,1 or 0-3".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_a_name_and_a_command() {
        let peer = name_and_command("a=env X=1 server --port {port}").unwrap();
        assert_eq!(peer, ("a".to_owned(), "env X=1 server --port {port}".to_owned()));
        assert!(name_and_command("server").is_err() && name_and_command("=x").is_err());
    }

    #[test]
    fn nothing_is_measured_in_no_time_or_of_nothing() {
        assert!(seconds("0").is_err() && seconds("x").is_err() && seconds("0.5").is_ok());
        assert!(count("0").is_err() && count("64").is_ok());
        assert!(cores("").is_err() && cores("0-1").is_ok());
    }
}
