//! Where metrics are served.

use std::net::SocketAddr;

use super::reader::Reader;

impl Reader {
    /// The address of their own that metrics have; `None` where it is unset or wrong.
    pub(super) fn metrics_address(&mut self) -> Option<SocketAddr> {
        self.given("METRICS_ADDRESS")?;
        self.parsed(
            "METRICS_ADDRESS",
            "an address with a port, as 127.0.0.1:9464",
        )
    }
}
