//! Messages over a stream of bytes. A client that sends what is no message is told so and the session goes on: what follows is looked
//! through for the next header. A length is believed as far as bytes come, so that no header makes the server ask for memory.

use std::io::{self, Read, Write};
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded, never, select, unbounded};
use lsp_server::{Connection, ErrorCode, Message};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::project::MAX_FILE_BYTES;

/// The longest message: the largest text, each byte of which may be written as `\u0000`, and what is around it.
const MAX_MESSAGE_BYTES: usize = 6 * MAX_FILE_BYTES as usize + (1 << 20);
/// The longest line of a header. What is longer is none.
const MAX_HEADER_BYTES: usize = 4 << 10;
/// Bytes that are read at a time.
const CHUNK: usize = 64 << 10;
const LENGTH: &[u8] = b"content-length:";

/// The messages of a client as a connection, and the thread that writes; it ends after the connection, when all is written.
///
/// # Errors
/// If a thread cannot be started.
pub fn connect(
    input: impl Read + Send + 'static,
    output: impl Write + Send + 'static,
) -> io::Result<(Connection, JoinHandle<io::Result<()>>)> {
    // What comes is taken in whether the session has time or not: a client that writes before it reads would wait for ever.
    let (take, receiver) = unbounded();
    let (sender, messages) = bounded(0);
    let (refuse, faults) = unbounded();
    thread::Builder::new().name("fwc input".to_owned()).spawn(move || read(input, &take, &refuse))?;
    let writer =
        thread::Builder::new().name("fwc output".to_owned()).spawn(move || write(output, &messages, faults))?;
    Ok((Connection { sender, receiver }, writer))
}

/// Why some bytes are no message.
#[derive(Clone, Debug, PartialEq)]
struct Fault {
    /// The number of the request, if it has one.
    id: Value,
    code: i32,
    message: String,
}

impl Fault {
    fn unread(message: impl Into<String>) -> Self {
        Self { id: Value::Null, code: ErrorCode::ParseError as i32, message: message.into() }
    }

    fn no_request(id: Option<Value>, message: impl Into<String>) -> Self {
        let id = id.filter(|id| id.is_string() || id.is_number()).unwrap_or_default();
        Self { id, code: ErrorCode::InvalidRequest as i32, message: message.into() }
    }

    /// The answer. A [`lsp_server::Response`] has no form for one without a number.
    fn answer(&self) -> String {
        let error = json!({ "code": self.code, "message": self.message });
        json!({ "jsonrpc": "2.0", "id": self.id, "error": error }).to_string()
    }
}

/// Takes messages in until the client says `exit` or is gone, or the session has ended.
fn read(input: impl Read, messages: &Sender<Message>, faults: &Sender<Fault>) {
    let mut frames = Frames::new(input);
    while let Some(frame) = frames.next() {
        let last = matches!(&frame, Ok(Message::Notification(told)) if told.method == "exit");
        let sent = match frame {
            Ok(message) => messages.send(message).is_ok(),
            Err(fault) => faults.send(fault).is_ok(),
        };
        if last || !sent {
            return;
        }
    }
}

fn write(mut output: impl Write, messages: &Receiver<Message>, mut faults: Receiver<Fault>) -> io::Result<()> {
    loop {
        let message = select! {
            recv(messages) -> message => Some(message),
            recv(faults) -> fault => {
                match fault {
                    Ok(fault) => answer(&mut output, &fault)?,
                    // The client has sent everything.
                    Err(_) => faults = never(),
                }
                None
            }
        };
        let Some(message) = message else { continue };
        // What was wrong before the request that is answered now comes before the answer.
        faults.try_iter().try_for_each(|fault| answer(&mut output, &fault))?;
        match message {
            Ok(message) => message.write(&mut output)?,
            Err(_) => return Ok(()),
        }
    }
}

fn answer(output: &mut impl Write, fault: &Fault) -> io::Result<()> {
    let text = fault.answer();
    write!(output, "Content-Length: {}\r\n\r\n{text}", text.len())?;
    output.flush()
}

/// The messages in a stream.
struct Frames<R> {
    input: R,
    /// Bytes that were read and are not used yet.
    buffer: Vec<u8>,
    /// Of these, the ones before were used.
    used: usize,
    /// Whether something was no message, and nothing was one since: the client was told.
    lost: bool,
}

impl<R: Read> Frames<R> {
    fn new(input: R) -> Self {
        Self { input, buffer: Vec::new(), used: 0, lost: false }
    }

    /// The next message, or why there is none at the next place; nothing at the end. Of bytes that are not even a header the client is told
    /// once, however many there are.
    fn next(&mut self) -> Option<Result<Message, Fault>> {
        loop {
            let frame = match self.header()? {
                Ok(length) => self.message(length),
                Err(_) if self.lost => continue,
                Err(fault) => Err(fault),
            };
            self.lost = frame.is_err();
            return Some(frame);
        }
    }

    fn message(&mut self, length: usize) -> Result<Message, Fault> {
        let Some(body) = self.take(length) else {
            self.used = self.buffer.len();
            return Err(Fault::unread("the message is shorter than its `Content-Length`"));
        };
        let message = parse(&body);
        // A length that is too great takes in the beginning of the next message.
        if let (Err(_), Some(next)) = (&message, find(&body, LENGTH)) {
            self.buffer.splice(..self.used, body.into_iter().skip(next));
            self.used = 0;
        }
        message
    }

    /// The length of the message that follows. Nothing at the end.
    fn header(&mut self) -> Option<Result<usize, Fault>> {
        let mut length = None;
        let mut begun = false;
        loop {
            let Some(line) = self.line() else {
                return begun.then(|| Err(Fault::unread("the header of a message has no end")));
            };
            match find(line.trim_ascii_end(), LENGTH) {
                Some(0) => {
                    let digits = line.get(LENGTH.len()..).unwrap_or_default().trim_ascii();
                    let number = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse::<usize>().ok());
                    match number.filter(|number| *number <= MAX_MESSAGE_BYTES) {
                        Some(number) => length = Some(number),
                        None => return Some(Err(Fault::unread("the `Content-Length` is no length of a message"))),
                    }
                }
                // What is before it is no header; it may be one itself.
                Some(at) => {
                    self.used -= line.len() - at;
                    return Some(Err(Fault::unread("there is no header before the message")));
                }
                None if line.trim_ascii().is_empty() => match length {
                    Some(length) => return Some(Ok(length)),
                    None if begun => return Some(Err(Fault::unread("the header has no `Content-Length`"))),
                    None => continue,
                },
                None if !is_field(&line) => return Some(Err(Fault::unread("there is no header before the message"))),
                None => {}
            }
            begun = true;
        }
    }

    /// A line with its end; what is longer than a header may be comes in parts. Nothing at the end.
    fn line(&mut self) -> Option<Vec<u8>> {
        let mut looked = 0;
        loop {
            let unused = self.buffer.get(self.used..).unwrap_or_default();
            let end = unused.iter().skip(looked).position(|byte| *byte == b'\n').map(|at| looked + at + 1);
            looked = unused.len();
            let length = match end {
                Some(end) => end.min(MAX_HEADER_BYTES),
                None if looked >= MAX_HEADER_BYTES => MAX_HEADER_BYTES,
                None if self.fill() => continue,
                None if looked == 0 => return None,
                None => looked,
            };
            return self.take(length);
        }
    }

    /// So many bytes; nothing if fewer come.
    fn take(&mut self, length: usize) -> Option<Vec<u8>> {
        while self.buffer.len() - self.used < length {
            if !self.fill() {
                return None;
            }
        }
        let bytes = self.buffer.get(self.used..self.used + length)?.to_vec();
        self.used += length;
        Some(bytes)
    }

    /// Reads more. Whether there was more; what cannot be read is the end.
    fn fill(&mut self) -> bool {
        self.buffer.drain(..std::mem::take(&mut self.used));
        let mut chunk = [0; CHUNK];
        loop {
            match self.input.read(&mut chunk) {
                Ok(read) => {
                    self.buffer.extend(chunk.iter().take(read));
                    return read > 0;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
    }
}

/// Where some bytes are, capital letters or not.
fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|part| part.eq_ignore_ascii_case(wanted))
}

/// Whether a line is `NAME: VALUE`.
fn is_field(line: &[u8]) -> bool {
    let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
    !name.is_empty() && name.len() < line.len() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
}

/// What every message may have.
#[derive(Deserialize)]
struct Numbered {
    id: Option<Value>,
}

fn parse(body: &[u8]) -> Result<Message, Fault> {
    let id = || serde_json::from_slice::<Numbered>(body).ok().and_then(|numbered| numbered.id);
    match serde_json::from_slice::<Message>(body) {
        // A request whose number is not one of the protocol's would be taken for what needs no answer.
        Ok(Message::Notification(told)) => match id() {
            None => Ok(Message::Notification(told)),
            id => Err(Fault::no_request(id, "the number of a request is an integer of 32 bits or a string")),
        },
        Ok(message) => Ok(message),
        Err(_) => match serde_json::from_slice::<Value>(body) {
            Ok(_) => Err(Fault::no_request(id(), "this is neither a request nor an answer nor a notification")),
            Err(error) => Err(Fault::unread(format!("the message is not JSON: {error}"))),
        },
    }
}
