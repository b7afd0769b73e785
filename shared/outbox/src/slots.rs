//! The shares of work that rows lie in.

use std::fmt;
use std::str::FromStr;

/// A set of the outbox's 64 slots. Written as hexadecimal bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slots(u64);

impl Slots {
    pub const ALL: Self = Self(u64::MAX);

    pub fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub fn contains(self, slot: u8) -> bool {
        self.0 & (1 << (slot & 63)) != 0
    }
}

impl fmt::Display for Slots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

impl FromStr for Slots {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u64::from_str_radix(text, 16).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for slots in [Slots::default(), Slots::from_bits(1 << 63 | 5), Slots::ALL] {
            assert_eq!(slots.to_string().parse(), Ok(slots));
        }
        assert!(Slots::from_bits(1 << 63).contains(63) && !Slots::from_bits(1 << 63).contains(62));
        assert!("".parse::<Slots>().is_err());
    }
}
