//! Server-sent events (WHATWG HTML, 9.2.6), from bytes as they come.

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Frame {
    /// `message` when the stream does not say.
    pub(crate) event: String,
    pub(crate) data: String,
    /// The last id the stream gave, in this event or before.
    pub(crate) id: String,
}

#[derive(Debug, Default)]
pub(crate) struct Parser {
    rest: Vec<u8>,
    event: String,
    data: Vec<String>,
    id: String,
}

impl Parser {
    /// Takes bytes, gives the events they complete. What the stream ends in without an empty line is no event.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Vec<Frame> {
        self.rest.extend_from_slice(bytes);
        let mut frames = Vec::new();
        let mut taken = 0;
        while let Some(length) = self.rest[taken..].iter().position(|byte| *byte == b'\n') {
            let line = String::from_utf8_lossy(&self.rest[taken..taken + length]).trim_end_matches('\r').to_owned();
            taken += length + 1;
            frames.extend(self.line(&line));
        }
        self.rest.drain(..taken);
        frames
    }

    fn line(&mut self, line: &str) -> Option<Frame> {
        if line.is_empty() {
            let (event, data) = (std::mem::take(&mut self.event), std::mem::take(&mut self.data));
            let event = if event.is_empty() { "message".to_owned() } else { event };
            return (!data.is_empty()).then(|| Frame { event, data: data.join("\n"), id: self.id.clone() });
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.event),
            "data" => self.data.push(value.to_owned()),
            "id" => value.clone_into(&mut self.id),
            // A comment, `retry`, or a field of the future.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = ": hello\n\nid: 7\nevent: notification\ndata: {\"a\":\ndata: 1}\n\nretry: 5\r\ndata:x\r\n\r\ndata: unfinished\n";

    fn frame(event: &str, data: &str, id: &str) -> Frame {
        Frame { event: event.into(), data: data.into(), id: id.into() }
    }

    #[test]
    fn an_empty_line_ends_an_event_and_the_id_stays() {
        let frames = Parser::default().push(STREAM.as_bytes());
        assert_eq!(frames, [frame("notification", "{\"a\":\n1}", "7"), frame("message", "x", "7")]);
    }

    #[test]
    fn it_does_not_matter_how_the_bytes_are_cut() {
        let mut parser = Parser::default();
        let frames: Vec<Frame> = STREAM.as_bytes().iter().flat_map(|byte| parser.push(&[*byte])).collect();
        assert_eq!(frames, Parser::default().push(STREAM.as_bytes()));
    }
}
