//! Mails deliveries through the configured server (SMTP, RFC 5321).
//!
//! Every attempt at a delivery is the same message under the same `Message-ID`, so that what comes twice can be known.
//! What the server says to the message itself is told apart from what it says before: a password that is wrong today
//! loses no delivery.

use std::error::Error as _;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::Context as _;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use tokio::time::timeout;
use uuid::Uuid;

use crate::config::{SmtpConfig, SmtpTls};

/// How long the end of a conversation is waited for; the message is through already.
const GOODBYE: Duration = Duration::from_secs(1);
/// Characters of an answer that are kept.
const KEPT: usize = 200;

/// The configured server, if there is one.
pub struct Mailer {
    server: Option<Server>,
    patience: Duration,
}

struct Server {
    address: (String, u16),
    tls: SmtpTls,
    parameters: TlsParameters,
    credentials: Option<Credentials>,
    hello: ClientId,
    from: Mailbox,
}

/// Why a message was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotMailed {
    /// What the server answered, if it did.
    pub code: Option<u16>,
    /// The server wants this message never.
    pub for_good: bool,
    pub in_words: String,
}

impl NotMailed {
    fn before(in_words: &str) -> Self {
        Self { code: None, for_good: false, in_words: in_words.to_owned() }
    }

    fn refused(in_words: &str) -> Self {
        Self { code: None, for_good: true, in_words: in_words.to_owned() }
    }
}

impl Mailer {
    /// From the configuration; without a server it mails nothing. `patience` is for a whole attempt.
    pub fn new(config: &SmtpConfig, patience: Duration) -> anyhow::Result<Self> {
        let server = if config.host.is_empty() { None } else { Some(Server::new(config)?) };
        Ok(Self { server, patience })
    }

    pub fn is_configured(&self) -> bool {
        self.server.is_some()
    }

    /// Mails a text, whose first line is the subject, to one address; returns what the server answered.
    pub async fn mail(&self, delivery_id: Uuid, recipient: &str, text: &str) -> Result<u16, NotMailed> {
        let server = self.server.as_ref().ok_or_else(|| NotMailed::before("no mail server is configured"))?;
        let message = server.message(delivery_id, recipient, text)?;
        let (code, mut connection) = timeout(self.patience, server.send(&message)).await.unwrap_or_else(|_| Err(late()))?;
        // The message is the server's now, whether or not it says goodbye.
        if let Ok(Err(error)) = timeout(GOODBYE, connection.quit()).await {
            tracing::debug!(%error, "the mail server did not say goodbye");
        }
        Ok(code)
    }
}

impl Server {
    fn new(config: &SmtpConfig) -> anyhow::Result<Self> {
        let from: Mailbox = config.from.parse().context("smtp.from")?;
        let mut parameters = TlsParameters::builder(config.host.clone());
        if !config.ca_file.is_empty() {
            let pem = std::fs::read(&config.ca_file).with_context(|| format!("smtp.ca_file: {}", config.ca_file))?;
            parameters = parameters.add_root_certificate(Certificate::from_pem(&pem).context("smtp.ca_file")?);
        }
        let password = config.password.or_file(&config.password_file).context("smtp.password_file")?;
        let credentials = (!config.user.is_empty()).then(|| Credentials::new(config.user.clone(), password.expose().to_owned()));
        Ok(Self {
            address: (config.host.clone(), config.port),
            tls: config.tls,
            parameters: parameters.build().context("smtp")?,
            credentials,
            hello: ClientId::Domain(from.email.domain().to_owned()),
            from,
        })
    }

    /// The same however often it is made.
    fn message(&self, delivery_id: Uuid, recipient: &str, text: &str) -> Result<Message, NotMailed> {
        let to = recipient.parse().map_err(|_| NotMailed::refused("it is not an address"))?;
        let (subject, body) = text.split_once("\n\n").unwrap_or((text, ""));
        let made = delivery_id.get_timestamp().map_or((0, 0), |made| made.to_unix());
        // No answering machine answers what a machine sent (RFC 3834).
        let automatic = HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned());
        Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .date(UNIX_EPOCH + Duration::new(made.0, made.1))
            .message_id(Some(format!("<{delivery_id}@{}>", self.from.email.domain())))
            .subject(subject)
            .raw_header(automatic)
            .header(ContentType::TEXT_PLAIN)
            .body(body.to_owned())
            .map_err(|error| NotMailed::refused(&error.to_string()))
    }

    async fn send(&self, message: &Message) -> Result<(u16, AsyncSmtpConnection), NotMailed> {
        let mut connection = self.connect().await.map_err(|error| told(&error, false))?;
        let answer = connection.send(message.envelope(), &message.formatted()).await.map_err(|error| told(&error, true))?;
        Ok((answer.code().into(), connection))
    }

    /// A connection that takes messages.
    async fn connect(&self) -> Result<AsyncSmtpConnection, Error> {
        let parameters = (self.tls == SmtpTls::Implicit).then(|| self.parameters.clone());
        let address = (self.address.0.as_str(), self.address.1);
        let mut connection = AsyncSmtpConnection::connect_tokio1(address, None, &self.hello, parameters, None).await?;
        if self.tls == SmtpTls::Starttls {
            connection.starttls(self.parameters.clone(), &self.hello).await?;
        }
        if let Some(credentials) = &self.credentials {
            connection.auth(&[Mechanism::Plain, Mechanism::Login], credentials).await?;
        }
        Ok(connection)
    }
}

fn late() -> NotMailed {
    NotMailed::before("no answer in time")
}

/// What a server's answer, or its absence, means. Only what is said to the message can be for good.
fn told(error: &Error, to_the_message: bool) -> NotMailed {
    let mut innermost = error.source();
    while let Some(deeper) = innermost.and_then(std::error::Error::source) {
        innermost = Some(deeper);
    }
    let cause = innermost.map(ToString::to_string).unwrap_or_default();
    let cause: String = cause.chars().filter(|character| !character.is_control()).take(KEPT).collect();
    let Some(code) = error.status().map(u16::from) else {
        let what = if to_the_message { "the connection failed" } else { "no connection" };
        return NotMailed::before(&format!("{what}: {cause}"));
    };
    NotMailed { code: Some(code), for_good: to_the_message && error.is_permanent(), in_words: format!("answered {code} {cause}") }
}
