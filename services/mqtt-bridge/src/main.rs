//! The bridge's command line.

use std::process::ExitCode;

use service::NoCommand;

/// A message is allocated on one thread and freed on another, which the C library's allocator takes locks for: with this one
/// the bridge passes on a tenth more, in the same memory.
#[cfg(target_arch = "x86_64")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    service::run(mqtt_bridge::DEFINITION, mqtt_bridge::app::start, async |_, command: NoCommand| match command {})
}
