//! What a fleet needs, before there is one.

use clap::Args;
use serde_json::json;

use crate::cli::rate;
use crate::context::Context;
use crate::domain::capacity::{PARTITIONS, Plan};
use crate::{FAILURE, SUCCESS};

const MIB: f64 = 1_048_576.0;
const GIB: f64 = 1_073_741_824.0;

#[derive(Args)]
pub(crate) struct Arguments {
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    devices: u32,
    /// Readings a second, all devices together
    #[arg(long, value_name = "N", value_parser = rate)]
    rate: f64,
    /// Alerts a second that open and end, all devices together; none unless said
    #[arg(long, value_name = "N", value_parser = rate)]
    alerts: Option<f64>,
    /// Of the topics, for good
    #[arg(long, value_name = "N", default_value_t = PARTITIONS, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    partitions: u32,
    /// Copies Kafka keeps of everything
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=9))]
    replication: u32,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments, context: &mut Context<'_>) -> anyhow::Result<u8> {
    let alerts = arguments.alerts.unwrap_or(0.0);
    let plan = Plan::of(arguments.devices, arguments.rate, alerts, arguments.partitions);
    let copies = f64::from(arguments.replication);
    if arguments.json {
        let needs = plan
            .needs
            .iter()
            .map(|need| json!({"name": need.name, "cores": need.cores, "replicas": need.replicas, "memory_mib": need.memory_mib}));
        context.out.json(&json!({
            "devices": arguments.devices, "rate": arguments.rate, "alerts": alerts, "partitions": arguments.partitions,
            "possible": plan.is_possible(), "processes": needs.collect::<Vec<_>>(),
            "fullest_partition": plan.fullest, "fullest_worker": plan.fullest_worker,
            "written_bytes_a_second": plan.written * copies, "read_bytes_a_second": plan.read, "kept_bytes": plan.kept * copies,
        }))?;
    } else {
        let rows = plan.needs.iter().map(|need| {
            [need.name.to_owned(), format!("{:.2}", need.cores), need.replicas.to_string(), format!("{:.0} MiB", need.memory_mib)]
        });
        context.out.table(["PROCESS", "CORES BUSY", "REPLICAS", "MEMORY OF EACH"], &rows.collect::<Vec<_>>())?;
        let percent = |share: f64| share * 100.0;
        context.out.line(format_args!(
            "partitions: {}; the fullest has {:.1} % of the devices and takes {:.0} % of a worker",
            arguments.partitions,
            percent(plan.fullest),
            percent(plan.fullest_worker)
        ))?;
        context.out.line(format_args!(
            "Kafka: {:.1} MiB/s written, {:.1} MiB/s read, {:.0} GiB for seven days of readings, {} copies",
            plan.written * copies / MIB,
            plan.read / MIB,
            plan.kept * copies / GIB,
            arguments.replication
        ))?;
    }
    if plan.is_possible() {
        return Ok(SUCCESS);
    }
    context.out.line("not possible: the fullest partition is worked on by one thread, and that is too much for it")?;
    Ok(FAILURE)
}
