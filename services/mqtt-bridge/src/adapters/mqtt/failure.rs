use rumqttc::v5::mqttbytes::v5::{ConnectReturnCode as Refusal, DisconnectReasonCode as Reason, SubAck, SubscribeReasonCode};
use rumqttc::v5::{ConnectionError, StateError};
use stream::Failure;

/// What a lost connection means: nearly always "later"; only what the configuration is wrong about is Fatal.
pub(super) fn of_connection(error: &ConnectionError) -> Failure {
    match error {
        ConnectionError::ConnectionRefused(refusal) => of_refusal(*refusal, error),
        ConnectionError::MqttState(StateError::ConnFail { reason }) => of_refusal(*reason, error),
        ConnectionError::MqttState(StateError::ServerDisconnect { reason_code, .. }) => match reason_code {
            Reason::NotAuthorized => Failure::fatal(error),
            Reason::SessionTakenOver => Failure::transient("another client uses our client_id"),
            _ => Failure::transient(error),
        },
        ConnectionError::MqttState(_)
        | ConnectionError::Timeout(_)
        | ConnectionError::Tls(_)
        | ConnectionError::Io(_)
        | ConnectionError::NotConnAck(_)
        | ConnectionError::RequestsDone => Failure::transient(error),
    }
}

fn of_refusal(refusal: Refusal, error: &ConnectionError) -> Failure {
    match refusal {
        Refusal::RefusedProtocolVersion
        | Refusal::UnsupportedProtocolVersion
        | Refusal::BadClientId
        | Refusal::ClientIdentifierNotValid
        | Refusal::BadUserNamePassword
        | Refusal::NotAuthorized
        | Refusal::Banned
        | Refusal::BadAuthenticationMethod => Failure::fatal(error),
        _ => Failure::transient(error),
    }
}

/// A refused subscription would look healthy and move nothing.
pub(super) fn of_subscriptions<'a>(suback: &SubAck, filters: impl Iterator<Item = &'a str>) -> Result<(), Failure> {
    let refused = suback.return_codes.iter().zip(filters).find(|(code, _)| !matches!(code, SubscribeReasonCode::Success(_)));
    match refused {
        Some((SubscribeReasonCode::QuotaExceeded | SubscribeReasonCode::PkidInUse, filter)) => {
            Err(Failure::transient(format!("the broker puts off the subscription to {filter}")))
        }
        Some((code, filter)) => Err(Failure::fatal(format!("the broker refuses the subscription to {filter}: {code:?}"))),
        None => Ok(()),
    }
}
