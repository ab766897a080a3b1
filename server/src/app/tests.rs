//! The hub put together, without a listener.

use super::*;

mod fuzz;
