//! A strict JSON scanner (RFC 8259) that copies what is significant.

use super::InvalidJson;

/// How deep the arrays and objects of one message may nest.
///
/// Messages are served inside one more array, and 127 levels are the most that serde_json reads by
/// default: every message that we accept, Rust clients can read back.
pub const MAX_DEPTH: usize = 126;

/// Reads JSON text from front to back and copies messages, without white space, to its output.
///
/// There is no tree and no recursion. Text between white space is copied as one run.
pub(super) struct Scanner<'a> {
    input: &'a [u8],
    /// The next byte to look at.
    at: usize,
    /// The input up to here is copied, or dropped.
    copied: usize,
    output: Vec<u8>,
    /// The brackets that will close the containers that are open, the innermost last.
    open: Vec<u8>,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let input = text.as_bytes();
        // At worst nothing is dropped, and a comma is added.
        let output = Vec::with_capacity(input.len() + 1);
        Self { input, at: 0, copied: 0, output, open: Vec::new() }
    }

    /// Scans a token between messages, if it is next, without a copy.
    pub(super) fn skip(&mut self, token: u8) -> bool {
        self.white_space();
        let found = self.eat(token);
        self.copied = self.at;
        found
    }

    /// Scans one value, and copies it with a comma; gives the length of both.
    pub(super) fn message(&mut self) -> Result<u32, InvalidJson> {
        let start = self.output.len();
        self.value()?;
        self.copy_run();
        self.output.push(b',');
        u32::try_from(self.output.len() - start).map_err(|_| self.error("the message is too long"))
    }

    /// Ends the scan: nothing but white space may be left. Gives the messages.
    pub(super) fn finish(mut self) -> Result<Vec<u8>, InvalidJson> {
        self.white_space();
        if self.at < self.input.len() {
            return Err(self.error("the end is expected"));
        }
        // Stored bytes live long: give back the room that white space took.
        self.output.shrink_to_fit();
        Ok(self.output)
    }

    /// The error that the next byte is wrong.
    pub(super) fn error(&self, reason: &'static str) -> InvalidJson {
        InvalidJson { at: self.at, reason }
    }

    fn value(&mut self) -> Result<(), InvalidJson> {
        while !(self.value_begins()? && self.values_end()?) {}
        Ok(())
    }

    /// Scans a scalar, or a container up to its first value. Says whether a value is complete.
    fn value_begins(&mut self) -> Result<bool, InvalidJson> {
        self.white_space();
        match self.peek() {
            Some(b'{') => return self.container(b'}'),
            Some(b'[') => return self.container(b']'),
            Some(b'"') => self.string()?,
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b't') => self.literal(b"true")?,
            Some(b'f') => self.literal(b"false")?,
            Some(b'n') => self.literal(b"null")?,
            _ => return Err(self.error("a value is expected")),
        }
        Ok(true)
    }

    /// After a value: scans what closes, up to the next value. Says whether nothing is open any more.
    fn values_end(&mut self) -> Result<bool, InvalidJson> {
        while let Some(close) = self.open.last().copied() {
            self.white_space();
            if self.eat(close) {
                self.open.pop();
                continue;
            }
            if !self.eat(b',') {
                return Err(self.error("a comma or the end of what is open is expected"));
            }
            if close == b'}' {
                self.key()?;
            }
            return Ok(false);
        }
        Ok(true)
    }

    /// Scans the opening of a container. Says whether it is empty, and so a complete value.
    fn container(&mut self, close: u8) -> Result<bool, InvalidJson> {
        if self.open.len() == MAX_DEPTH {
            return Err(self.error("this nests too deeply"));
        }
        self.at += 1;
        self.white_space();
        if self.eat(close) {
            return Ok(true);
        }
        self.open.push(close);
        if close == b'}' {
            self.key()?;
        }
        Ok(false)
    }

    fn key(&mut self) -> Result<(), InvalidJson> {
        self.white_space();
        if self.peek() != Some(b'"') {
            return Err(self.error("a key in double quotes is expected"));
        }
        self.string()?;
        self.white_space();
        if !self.eat(b':') {
            return Err(self.error("a colon is expected"));
        }
        Ok(())
    }

    fn string(&mut self) -> Result<(), InvalidJson> {
        self.at += 1;
        loop {
            self.at += plain_length(self.rest());
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => self.escape()?,
                Some(_) => return Err(self.error("control characters must be escaped")),
                None => return Err(self.error("the string does not end")),
            }
        }
        self.at += 1;
        Ok(())
    }

    fn escape(&mut self) -> Result<(), InvalidJson> {
        match self.input.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => self.unicode_escape()?,
            _ => return Err(self.error("this is not an escape sequence")),
        }
        Ok(())
    }

    /// Surrogates must come in pairs: half a pair is no character, and strict readers refuse it.
    fn unicode_escape(&mut self) -> Result<(), InvalidJson> {
        let unit = |at: usize| code_unit(self.input.get(at..at + 6)?.strip_prefix(b"\\u")?);
        let length = match (unit(self.at), unit(self.at + 6)) {
            (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => 12,
            (Some(0xD800..=0xDFFF), _) => return Err(self.error("half of a surrogate pair")),
            (Some(_), _) => 6,
            (None, _) => return Err(self.error("\\u needs four hexadecimal digits")),
        };
        self.at += length;
        Ok(())
    }

    fn number(&mut self) -> Result<(), InvalidJson> {
        self.eat(b'-');
        if !self.eat(b'0') {
            self.digits()?;
        }
        if self.eat(b'.') {
            self.digits()?;
        }
        if self.eat(b'e') || self.eat(b'E') {
            let _sign = self.eat(b'+') || self.eat(b'-');
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), InvalidJson> {
        let length = count(self.rest(), u8::is_ascii_digit);
        if length == 0 {
            return Err(self.error("a digit is expected"));
        }
        self.at += length;
        Ok(())
    }

    fn literal(&mut self, literal: &[u8]) -> Result<(), InvalidJson> {
        if !self.rest().starts_with(literal) {
            return Err(self.error("a value is expected"));
        }
        self.at += literal.len();
        Ok(())
    }

    /// Drops white space; what came before it is copied.
    fn white_space(&mut self) {
        let length = count(self.rest(), is_white_space);
        if length == 0 {
            return;
        }
        self.copy_run();
        self.at += length;
        self.copied = self.at;
    }

    fn copy_run(&mut self) {
        self.output.extend_from_slice(&self.input[self.copied..self.at]);
        self.copied = self.at;
    }

    fn rest(&self) -> &'a [u8] {
        &self.input[self.at..]
    }

    fn peek(&self) -> Option<u8> {
        self.input.get(self.at).copied()
    }

    fn eat(&mut self, token: u8) -> bool {
        if self.peek() != Some(token) {
            return false;
        }
        self.at += 1;
        true
    }
}

/// How many bytes from the front are of a kind.
fn count(text: &[u8], is_kind: impl Fn(&u8) -> bool) -> usize {
    text.iter().take_while(|byte| is_kind(byte)).count()
}

fn is_white_space(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// How many bytes from the front may stand in a string as they are.
fn plain_length(text: &[u8]) -> usize {
    // Whole blocks first: without an early exit inside a block, each is one vector instruction.
    let (blocks, _) = text.as_chunks::<16>();
    let is_plain =
        |block: &&[u8; 16]| !block.iter().fold(false, |any, byte| any | is_special(byte));
    let plain = blocks.iter().take_while(is_plain).count() * 16;
    plain + count(&text[plain..], |byte| !is_special(byte))
}

/// Whether a byte ends a string, escapes or must be escaped.
fn is_special(byte: &u8) -> bool {
    (*byte < b' ') | (*byte == b'"') | (*byte == b'\\')
}

/// The value of four hexadecimal digits.
fn code_unit(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |unit, digit| Some(unit * 16 + char::from(*digit).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> Result<String, InvalidJson> {
        let mut scanner = Scanner::new(text);
        let length = scanner.message()?;
        let output = scanner.finish()?;
        assert_eq!(length as usize, output.len());
        Ok(String::from_utf8(output).unwrap())
    }

    fn error(text: &str) -> (usize, &'static str) {
        let error = message(text).unwrap_err();
        (error.at, error.reason)
    }

    #[test]
    fn white_space_outside_strings_is_dropped() {
        let text = " { \"a b\" :\r\n[ 1 ,\t{ } , [ ] , \" x \" ] , \"a b\":null}\n";
        assert_eq!(message(text).unwrap(), r#"{"a b":[1,{},[]," x "],"a b":null},"#);
    }

    #[test]
    fn scalars_are_kept_as_written() {
        let numbers = "0 -0 1.50 1e999 -1E+07 2e-0 12345678901234567890";
        let others = r#"true false null "" "\u00e9\/\"\\é" "\uD83D\ude00""#;
        for scalar in numbers.split(' ').chain(others.split(' ')).chain(["\"\u{7f}\u{2028}\""]) {
            assert_eq!(message(scalar).unwrap(), format!("{scalar},"));
        }
    }

    #[test]
    fn errors_say_where_and_what() {
        for (text, at, reason) in [
            ("", 0, "a value is expected"),
            ("  ", 2, "a value is expected"),
            ("nul", 0, "a value is expected"),
            ("+1", 0, "a value is expected"),
            ("'a'", 0, "a value is expected"),
            ("\u{feff}1", 0, "a value is expected"),
            ("[1,]", 3, "a value is expected"),
            ("1 2", 2, "the end is expected"),
            ("01", 1, "the end is expected"),
            ("1]", 1, "the end is expected"),
            ("-", 1, "a digit is expected"),
            ("1.", 2, "a digit is expected"),
            ("1e+", 3, "a digit is expected"),
            ("[1 2]", 3, "a comma or the end of what is open is expected"),
            ("[1}", 2, "a comma or the end of what is open is expected"),
            ("{\"a\":1", 6, "a comma or the end of what is open is expected"),
            ("{1:2}", 1, "a key in double quotes is expected"),
            ("{\"a\":1,}", 7, "a key in double quotes is expected"),
            ("{\"a\"}", 4, "a colon is expected"),
            ("\"a", 2, "the string does not end"),
            ("\"a\\\"", 4, "the string does not end"),
            ("\"a\nb\"", 2, "control characters must be escaped"),
            ("\"\\x\"", 1, "this is not an escape sequence"),
            ("\"\\u12\"", 1, "\\u needs four hexadecimal digits"),
            ("\"\\u+123\"", 1, "\\u needs four hexadecimal digits"),
            ("\"\\ud83d\"", 1, "half of a surrogate pair"),
            ("\"\\ud83d\\u0041\"", 1, "half of a surrogate pair"),
            ("\"\\ude00\"", 1, "half of a surrogate pair"),
        ] {
            assert_eq!(error(text), (at, reason), "{text:?}");
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let deepest = message(&nested(MAX_DEPTH)).unwrap();
        let served = format!("[{}]", deepest.trim_end_matches(','));
        assert!(serde_json::from_str::<serde_json::Value>(&served).is_ok());
        assert_eq!(error(&nested(MAX_DEPTH + 1)), (MAX_DEPTH, "this nests too deeply"));
        assert_eq!(error(&"{\"a\":".repeat(1 << 20)).1, "this nests too deeply");
    }
}
