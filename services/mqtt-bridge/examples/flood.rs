#![allow(warnings)]
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::Packet;
use rumqttc::v5::{AsyncClient, Event, MqttOptions};
#[tokio::main(flavor = "current_thread")]
async fn main() {
    let port: u16 = std::env::args().nth(1).unwrap().parse().unwrap();
    let count: usize = std::env::args().nth(2).unwrap().parse().unwrap();
    let mut o = MqttOptions::new("flood", "127.0.0.1", port);
    o.set_outgoing_inflight_upper_limit(5000);
    let (c, mut l) = AsyncClient::new(o, 5000);
    let t = std::time::Instant::now();
    tokio::spawn(async move {
        for n in 0..count {
            let at = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
            c.publish(
                "iot/sensor/temperature",
                QoS::AtLeastOnce,
                false,
                format!(r#"{{"device_id": "sensor-{:02}", "temperature": {}.5, "timestamp": {at}}}"#, n % 50, n % 30),
            )
            .await
            .unwrap();
        }
        std::future::pending::<()>().await
    });
    let mut acked = 0;
    while acked < count {
        if let Event::Incoming(Packet::PubAck(_)) = l.poll().await.unwrap() {
            acked += 1;
        }
    }
    println!("published {count} in {:?}: {:.0}/s", t.elapsed(), count as f64 / t.elapsed().as_secs_f64());
}
