//! A mail server that answers as a test wants, over TLS if it wants that too.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use testkit::eventually;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

pub(crate) const USER: &str = "alerts";
pub(crate) const PASSWORD: &str = "wrong-horse";

/// What one connection is answered instead of being served well.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    Greeting(&'static str),
    Recipient(&'static str),
    /// After the whole message.
    Message(&'static str),
    /// The message is read, and no answer comes.
    Hang,
    /// The connection ends within the message.
    Close,
}

/// A message as it came.
#[derive(Clone, Debug)]
pub(crate) struct Mail {
    pub(crate) to: String,
    pub(crate) text: String,
    pub(crate) encrypted: bool,
    pub(crate) at: Instant,
}

impl Mail {
    pub(crate) fn header(&self, name: &str) -> &str {
        let (headers, _) = self.text.split_once("\r\n\r\n").unwrap();
        headers.lines().find_map(|line| line.strip_prefix(&format!("{name}: "))).expect(name)
    }
}

#[derive(Clone, Default)]
struct Shared {
    received: Arc<Mutex<Vec<Mail>>>,
    answers: Arc<Mutex<VecDeque<Answer>>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encryption {
    None,
    Starttls,
    Implicit,
}

pub(crate) struct MailServer {
    shared: Shared,
    pub(crate) port: u16,
    /// Its certificate, in PEM.
    pub(crate) certificate: tempfile::NamedTempFile,
    /// Ends with it.
    _server: JoinSet<()>,
}

impl MailServer {
    pub(crate) async fn start(encryption: Encryption) -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let certificate = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(certificate.path(), made.cert.pem()).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let config = ServerConfig::builder_with_provider(default_provider().into()).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));

        let shared = Shared::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut server = JoinSet::new();
        let kept = shared.clone();
        server.spawn(async move {
            let mut open = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                open.spawn(serve(stream, encryption, acceptor.clone(), kept.clone()));
            }
        });
        Self { shared, port, certificate, _server: server }
    }

    /// What its next connections are answered, one each; afterwards it takes what comes.
    pub(crate) fn answers(&self, answers: &[Answer]) {
        self.shared.answers.lock().unwrap().extend(answers.iter().copied());
    }

    /// Every message it read to the end, taken or not.
    pub(crate) fn received(&self) -> Vec<Mail> {
        self.shared.received.lock().unwrap().clone()
    }

    pub(crate) async fn mails(&self, count: usize) -> Vec<Mail> {
        let what = format!("{count} e-mails");
        eventually(&what, || async { Some(self.received()).filter(|received| received.len() >= count) }).await
    }
}

async fn serve(stream: TcpStream, encryption: Encryption, acceptor: TlsAcceptor, shared: Shared) {
    let answer = shared.answers.lock().unwrap().pop_front();
    let talk = |encrypted| Talk { answer, encrypted, needs_tls: encryption != Encryption::None, shared: shared.clone() };
    if encryption == Encryption::Implicit {
        if let Ok(stream) = acceptor.accept(stream).await {
            talk(true).run(&mut BufReader::new(stream), true).await;
        }
        return;
    }
    let mut stream = BufReader::new(stream);
    if talk(false).run(&mut stream, true).await == End::Starttls
        && let Ok(stream) = acceptor.accept(stream.into_inner()).await
    {
        talk(true).run(&mut BufReader::new(stream), false).await;
    }
}

#[derive(PartialEq, Eq)]
enum End {
    Starttls,
    Over,
}

struct Talk {
    answer: Option<Answer>,
    encrypted: bool,
    needs_tls: bool,
    shared: Shared,
}

impl Talk {
    async fn run<S: AsyncRead + AsyncWrite + Unpin>(self, stream: &mut BufReader<S>, greets: bool) -> End {
        if greets {
            let greeting = if let Some(Answer::Greeting(answer)) = self.answer { answer } else { "220 mail.example.com ESMTP" };
            say(stream, greeting).await;
        }
        let (mut to, mut known) = (String::new(), !self.needs_tls);
        let mut line = String::new();
        loop {
            line.clear();
            if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                return End::Over;
            }
            let (verb, rest) = line.trim_end().split_once(' ').unwrap_or((line.trim_end(), ""));
            let reply = match verb {
                "EHLO" if self.needs_tls && !self.encrypted => "250-mail.example.com\r\n250 STARTTLS",
                "EHLO" if self.needs_tls => "250-mail.example.com\r\n250 AUTH PLAIN",
                "EHLO" => "250 mail.example.com",
                "STARTTLS" => {
                    say(stream, "220 go on").await;
                    return End::Starttls;
                }
                "AUTH" => {
                    known = rest.strip_prefix("PLAIN ") == Some(&STANDARD.encode(format!("\0{USER}\0{PASSWORD}")));
                    if known { "235 welcome" } else { "535 5.7.8 wrong user or password" }
                }
                _ if !known && verb != "QUIT" => "530 5.7.0 who are you",
                "RCPT" => {
                    rest.trim_start_matches("TO:").clone_into(&mut to);
                    if let Some(Answer::Recipient(answer)) = self.answer { answer } else { "250 ok" }
                }
                "DATA" => {
                    say(stream, "354 go on").await;
                    let Some(text) = self.message(stream).await else { return End::Over };
                    self.shared.received.lock().unwrap().push(Mail { to: to.clone(), text, encrypted: self.encrypted, at: Instant::now() });
                    match self.answer {
                        Some(Answer::Hang) => std::future::pending().await,
                        Some(Answer::Message(answer)) => answer,
                        _ => "250 taken",
                    }
                }
                "QUIT" => {
                    say(stream, "221 goodbye").await;
                    return End::Over;
                }
                _ => "250 ok",
            };
            say(stream, reply).await;
        }
    }

    /// The message, without the dots that hide lines of it.
    async fn message<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: &mut BufReader<S>) -> Option<String> {
        let mut text = String::new();
        loop {
            let mut line = String::new();
            if matches!(self.answer, Some(Answer::Close)) || stream.read_line(&mut line).await.ok()? == 0 {
                return None;
            }
            if line == ".\r\n" {
                return Some(text);
            }
            text += line.strip_prefix('.').unwrap_or(&line);
        }
    }
}

/// Who hung up hears nothing.
async fn say<S: AsyncWrite + Unpin>(stream: &mut S, reply: &str) {
    let said = stream.write_all(format!("{reply}\r\n").as_bytes()).await;
    if said.is_ok() {
        stream.flush().await.ok();
    }
}
