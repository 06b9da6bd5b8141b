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
        // A message may not shrink, and gets a comma.
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

    /// Scans one value and copies it with a comma; gives the length of both.
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
            self.at += plain_length(&self.input[self.at..]);
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
        let escape = |at| Some(self.input.get(at..at + 6)?.strip_prefix(b"\\u")).and_then(code_unit);
        let length = match (escape(self.at), escape(self.at + 6)) {
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
        let rest = &self.input[self.at..];
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if count == 0 {
            return Err(self.error("a digit is expected"));
        }
        self.at += count;
        Ok(())
    }

    fn literal(&mut self, literal: &[u8]) -> Result<(), InvalidJson> {
        if !self.input[self.at..].starts_with(literal) {
            return Err(self.error("a value is expected"));
        }
        self.at += literal.len();
        Ok(())
    }

    /// Drops white space; what came before it is copied.
    fn white_space(&mut self) {
        if !self.peek().is_some_and(is_white_space) {
            return;
        }
        self.copy_run();
        while self.peek().is_some_and(is_white_space) {
            self.at += 1;
        }
        self.copied = self.at;
    }

    fn copy_run(&mut self) {
        self.output.extend_from_slice(&self.input[self.copied..self.at]);
        self.copied = self.at;
    }

    fn peek(&self) -> Option<u8> {
        self.input.get(self.at).copied()
    }

    fn eat(&mut self, token: u8) -> bool {
        let found = self.peek() == Some(token);
        self.at += usize::from(found);
        found
    }
}

fn is_white_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// How many bytes from the front may stand in a string as they are.
fn plain_length(text: &[u8]) -> usize {
    let is_special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..=0x1f);
    text.iter().position(is_special).unwrap_or(text.len())
}

/// The value of four hexadecimal digits.
fn code_unit(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |unit, digit| Some(unit * 16 + char::from(*digit).to_digit(16)?))
}
