//! A name server on loopback that knows one answer: every address is `hop.example`.

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, spawn};
use std::time::Duration;

/// Runs until dropped.
pub(super) struct Names {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Serves on a loopback address; scamper asks port 53 only.
pub(super) fn serve(address: &str) -> Result<Names, String> {
    let socket = UdpSocket::bind((address, 53)).map_err(|error| error.to_string())?;
    let tick = Some(Duration::from_millis(50));
    socket
        .set_read_timeout(tick)
        .map_err(|error| error.to_string())?;
    let stop = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&stop);
    let thread = spawn(move || {
        let mut query = [0; 512];
        while !seen.load(Ordering::Relaxed) {
            if let Ok((length, from)) = socket.recv_from(&mut query) {
                // A lost answer shows as a missing name.
                let _ = socket.send_to(&answer(&query[..length]), from);
            }
        }
    });
    Ok(Names {
        stop,
        thread: Some(thread),
    })
}

/// The query, marked as a response, with one PTR record after its question.
fn answer(query: &[u8]) -> Vec<u8> {
    let mut answer = query.to_vec();
    if let Some(flags) = answer.get_mut(2..8) {
        flags.copy_from_slice(&[0x81, 0x80, 0, 1, 0, 1]);
    }
    let name = b"\x03hop\x07example\x00";
    // Pointer to the question's name, PTR, IN, an hour, 13 bytes.
    answer.extend([0xc0, 12, 0, 12, 0, 1, 0, 0, 14, 16, 0, 13]);
    answer.extend(name);
    answer
}

impl Drop for Names {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // Its panic would be a failed case already.
            let _ = thread.join();
        }
    }
}
