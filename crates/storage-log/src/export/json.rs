//! As much JSON as the lines of an export need, written.

use std::fmt::Write as _;

/// Writes an object into a line.
pub(crate) struct Object<'a> {
    line: &'a mut String,
    empty: bool,
}

impl<'a> Object<'a> {
    pub(crate) fn begin(line: &'a mut String) -> Self {
        line.push('{');
        Self { line, empty: true }
    }

    pub(crate) fn end(self) {
        self.line.push('}');
    }

    /// Writes a key; the value is to follow.
    pub(crate) fn key(&mut self, key: &str) -> &mut String {
        if !std::mem::replace(&mut self.empty, false) {
            self.line.push(',');
        }
        text(self.line, key);
        self.line.push(':');
        self.line
    }

    pub(crate) fn text(&mut self, key: &str, value: &str) {
        text(self.key(key), value);
    }

    pub(crate) fn plain(&mut self, key: &str, value: impl std::fmt::Display) {
        // Writing to a string does not fail.
        let _ = write!(self.key(key), "{value}");
    }

    pub(crate) fn list<T>(
        &mut self,
        key: &str,
        values: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut String, T),
    ) {
        let line = self.key(key);
        line.push('[');
        for (at, value) in values.into_iter().enumerate() {
            if at > 0 {
                line.push(',');
            }
            write(line, value);
        }
        line.push(']');
    }
}

/// Writes a text, quoted.
pub(crate) fn text(line: &mut String, value: &str) {
    line.push('"');
    for character in value.chars() {
        match character {
            '"' => line.push_str("\\\""),
            '\\' => line.push_str("\\\\"),
            control if control < ' ' => {
                let _ = write!(line, "\\u{:04x}", u32::from(control));
            }
            other => line.push(other),
        }
    }
    line.push('"');
}
