//! As much JSON as the lines of an export need, read: objects, lists, texts, whole numbers, flags, null.

use std::borrow::Cow;

/// Nothing in an export is nested deeper.
const MAX_DEPTH: usize = 8;

/// A value that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Null,
    Flag(bool),
    Number(i128),
    Text(Cow<'a, str>),
    List(Vec<Value<'a>>),
    Object(Vec<(Cow<'a, str>, Value<'a>)>),
}

/// Reads a line; in words what is wrong with it.
pub(super) fn parse(line: &str) -> Result<Value<'_>, String> {
    let mut parser = Parser { text: line, at: 0 };
    let value = parser.value(0)?;
    parser.space();
    match parser.peek() {
        None => Ok(value),
        Some(_) => Err(parser.wrong("something follows the value")),
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn value(&mut self, depth: usize) -> Result<Value<'a>, String> {
        if depth > MAX_DEPTH {
            return Err(self.wrong("the value is nested too deep"));
        }
        self.space();
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.list(depth),
            Some(b'"') => self.quoted().map(Value::Text),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => {
                let words = [
                    ("null", Value::Null),
                    ("true", Value::Flag(true)),
                    ("false", Value::Flag(false)),
                ];
                let rest = &self.text[self.at..];
                let found = words.into_iter().find(|(word, _)| rest.starts_with(word));
                let (word, value) = found.ok_or_else(|| self.wrong("no value begins here"))?;
                self.at += word.len();
                Ok(value)
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value<'a>, String> {
        let mut members = Vec::new();
        self.sequence(b'}', |parser| {
            parser.space();
            let key = parser.quoted()?;
            parser.space();
            parser.expect(b':')?;
            members.push((key, parser.value(depth + 1)?));
            Ok(())
        })?;
        Ok(Value::Object(members))
    }

    fn list(&mut self, depth: usize) -> Result<Value<'a>, String> {
        let mut values = Vec::new();
        self.sequence(b']', |parser| {
            values.push(parser.value(depth + 1)?);
            Ok(())
        })?;
        Ok(Value::List(values))
    }

    /// What is between brackets and separated by commas.
    fn sequence(
        &mut self,
        close: u8,
        mut item: impl FnMut(&mut Self) -> Result<(), String>,
    ) -> Result<(), String> {
        self.at += 1;
        self.space();
        if self.peek() == Some(close) {
            self.at += 1;
            return Ok(());
        }
        loop {
            item(self)?;
            self.space();
            if self.peek() == Some(close) {
                self.at += 1;
                return Ok(());
            }
            self.expect(b',')?;
        }
    }

    /// A text; shares the line unless it has escapes.
    fn quoted(&mut self) -> Result<Cow<'a, str>, String> {
        self.expect(b'"')?;
        let mut unescaped = String::new();
        let mut from = self.at;
        loop {
            let rest = &self.text.as_bytes()[self.at..];
            let length = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f));
            let length = length.ok_or_else(|| self.wrong("a text does not end"))?;
            self.at += length;
            let part = &self.text[from..self.at];
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    if unescaped.is_empty() {
                        return Ok(Cow::Borrowed(part));
                    }
                    unescaped.push_str(part);
                    return Ok(Cow::Owned(unescaped));
                }
                Some(b'\\') => {
                    unescaped.push_str(part);
                    self.at += 1;
                    unescaped.push(self.escape()?);
                    from = self.at;
                }
                _ => return Err(self.wrong("a text holds a control character")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, String> {
        let kind = self.peek().ok_or_else(|| self.wrong("a text does not end"))?;
        self.at += 1;
        Ok(match kind {
            b'"' | b'\\' | b'/' => char::from(kind),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let high = self.unit()?;
                let code = match high {
                    0xd800..=0xdbff => {
                        self.expect(b'\\')?;
                        self.expect(b'u')?;
                        let low = self.unit()?.wrapping_sub(0xdc00);
                        if low > 0x3ff {
                            return Err(self.wrong("half a surrogate pair"));
                        }
                        0x10000 + ((high - 0xd800) << 10) + low
                    }
                    code => code,
                };
                char::from_u32(code).ok_or_else(|| self.wrong("half a surrogate pair"))?
            }
            _ => return Err(self.wrong("an unknown escape")),
        })
    }

    fn unit(&mut self) -> Result<u32, String> {
        let digits = self.text.get(self.at..self.at + 4);
        let digits = digits.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let unit = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        self.at += 4;
        unit.ok_or_else(|| self.wrong("an escape needs four hexadecimal digits"))
    }

    fn number(&mut self) -> Result<Value<'a>, String> {
        let rest = &self.text[self.at..];
        let length = rest.bytes().skip(1).take_while(u8::is_ascii_digit).count() + 1;
        let number = rest[..length].parse();
        let number = number.map_err(|_| self.wrong("a number is not whole or too large"))?;
        self.at += length;
        match self.peek() {
            Some(b'.' | b'e' | b'E') => Err(self.wrong("a number is not whole")),
            _ => Ok(Value::Number(number)),
        }
    }

    fn expect(&mut self, byte: u8) -> Result<(), String> {
        if self.peek() != Some(byte) {
            return Err(self.wrong(&format!("`{}` is missing", char::from(byte))));
        }
        self.at += 1;
        Ok(())
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn wrong(&self, what: &str) -> String {
        format!("{what}, at byte {} of the line", self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_are_read() {
        let parsed =
            parse(r#" {"a":[1,-2 , null],"b\n":"x\u00e9\ud83d\ude00\\","c":{},"d":true} "#);
        let members = |value: Value<'static>| value;
        let list = Value::List(vec![Value::Number(1), Value::Number(-2), Value::Null]);
        let expected = Value::Object(vec![
            ("a".into(), list),
            ("b\n".into(), Value::Text("xé😀\\".into())),
            ("c".into(), Value::Object(Vec::new())),
            ("d".into(), Value::Flag(true)),
        ]);
        assert_eq!(parsed, Ok(members(expected)));
    }

    #[test]
    fn other_texts_are_refused() {
        for bad in [
            "",
            "{",
            "[1,]",
            "{\"a\" 1}",
            "1.5",
            "1e3",
            "-",
            "\"\\x\"",
            "\"\\ud800\"",
            "tru",
            "1 2",
            "\"a",
            "[[[[[[[[[[1]]]]]]]]]]",
            "{\"a\":}",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn texts_are_read_as_they_are_written(value in ".*", bytes in "\\PC*") {
            let mut line = String::new();
            crate::export::json::text(&mut line, &value);
            prop_assert_eq!(parse(&line), Ok(Value::Text(value.as_str().into())));
            let _ = parse(&bytes);
        }
    }
}
