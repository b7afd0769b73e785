//! Where a client stands in notifications.v1: the next offset of every partition, opaque to the client.

/// Marks the layout, so that another one can follow.
const LAYOUT: u8 = 1;
/// No topic has more partitions than this; a longer text is not ours.
const MOST_PARTITIONS: u64 = 4_096;

/// Next offset to read, by partition.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Position {
    next: Vec<i64>,
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not an id of this stream")]
pub struct NotAPosition;

impl Position {
    pub fn new(next: Vec<i64>) -> Self {
        Self { next }
    }

    pub fn next_offsets(&self) -> &[i64] {
        &self.next
    }

    pub fn partitions(&self) -> usize {
        self.next.len()
    }

    /// Whether the record at `offset` of `partition` lies before this position.
    pub fn is_past(&self, partition: i32, offset: i64) -> bool {
        self.at(partition).is_some_and(|next| offset < next)
    }

    /// Moves past the record at `offset` of `partition`; never back.
    pub fn advance(&mut self, partition: i32, offset: i64) {
        if let Some(next) = usize::try_from(partition).ok().and_then(|partition| self.next.get_mut(partition)) {
            *next = (*next).max(offset + 1);
        }
    }

    /// Whether every partition is at or past where `other` is. Positions of different topics never are.
    pub fn covers(&self, other: &Self) -> bool {
        self.next.len() == other.next.len() && self.next.iter().zip(&other.next).all(|(ours, theirs)| ours >= theirs)
    }

    fn at(&self, partition: i32) -> Option<i64> {
        usize::try_from(partition).ok().and_then(|partition| self.next.get(partition)).copied()
    }

    /// Layout, count and offsets as LEB128.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![LAYOUT];
        push(&mut bytes, self.next.len() as u64);
        self.next.iter().for_each(|next| push(&mut bytes, *next as u64));
        bytes
    }

    pub fn from_bytes(bytes: &[u8]) -> Result<Self, NotAPosition> {
        let Some((&LAYOUT, mut rest)) = bytes.split_first() else { return Err(NotAPosition) };
        let count = pull(&mut rest)?;
        if count == 0 || count > MOST_PARTITIONS {
            return Err(NotAPosition);
        }
        let next = (0..count).map(|_| pull(&mut rest).and_then(|next| i64::try_from(next).map_err(|_| NotAPosition)));
        let next = next.collect::<Result<_, _>>()?;
        if rest.is_empty() { Ok(Self { next }) } else { Err(NotAPosition) }
    }
}

fn push(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn pull(bytes: &mut &[u8]) -> Result<u64, NotAPosition> {
    let mut number = 0_u64;
    for shift in (0..63).step_by(7) {
        let (&byte, rest) = bytes.split_first().ok_or(NotAPosition)?;
        *bytes = rest;
        number |= u64::from(byte & 0x7F) << shift;
        if byte < 0x80 {
            return Ok(number);
        }
    }
    Err(NotAPosition)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_survives_the_way_there_and_back() {
        for next in [vec![0], vec![0, 127, 128, 300, i64::MAX], vec![7; 12]] {
            let position = Position::new(next);
            assert_eq!(Position::from_bytes(&position.to_bytes()), Ok(position));
        }
    }

    #[test]
    fn what_is_no_position_is_refused() {
        let whole = Position::new(vec![1_000; 12]).to_bytes();
        let longer = [whole.as_slice(), &[0]].concat();
        let endless = [&[LAYOUT, 1][..], &[0xFF; 20]].concat();
        for bytes in [&[][..], &[LAYOUT], &[LAYOUT, 0], &[2, 1, 1], &whole[..whole.len() - 1], &longer, &endless] {
            assert_eq!(Position::from_bytes(bytes), Err(NotAPosition), "{bytes:?}");
        }
    }

    #[test]
    fn a_position_moves_only_forward() {
        let mut position = Position::new(vec![5, 5]);
        position.advance(0, 9);
        position.advance(1, 2);
        position.advance(7, 2);
        assert_eq!(position.next_offsets(), [10, 5]);
        assert!(position.is_past(0, 9) && !position.is_past(0, 10) && !position.is_past(7, 0));
    }

    #[test]
    fn one_position_covers_another_when_no_partition_is_behind() {
        let position = |next: &[i64]| Position::new(next.to_vec());
        assert!(position(&[3, 4]).covers(&position(&[3, 1])));
        assert!(!position(&[3, 4]).covers(&position(&[4, 1])));
        assert!(!position(&[3, 4]).covers(&position(&[3])));
    }
}
