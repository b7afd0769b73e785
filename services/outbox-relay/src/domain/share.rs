//! Which slots are a relay's fair share. Every relay computes it alone from what the database shows all of them.

use super::Slot;

/// How many slots there are.
pub const SLOTS: usize = 64;

/// What to do to come to the fair share.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    /// How many slots the fair share is.
    pub of: usize,
    pub claim: Vec<Slot>,
    pub release: Vec<Slot>,
}

/// `members`: the relays that live; `taken`: every unexpired lease with its owner. The shares of all members add up to
/// all slots, and no more slots move than must.
pub fn fair_share(me: &str, members: &[String], taken: &[(Slot, String)]) -> Claims {
    let mut names: Vec<&str> = members.iter().map(String::as_str).chain([me]).collect();
    names.sort_unstable();
    names.dedup();
    let rank = names.partition_point(|name| *name < me);
    let share = SLOTS / names.len() + usize::from(rank < SLOTS % names.len());

    let mut mine: Vec<Slot> = taken.iter().filter(|(_, owner)| owner == me).map(|(slot, _)| *slot).collect();
    mine.sort_unstable();
    if mine.len() >= share {
        return Claims { of: share, claim: Vec::new(), release: mine.split_off(share) };
    }
    let mut free: Vec<Slot> = (0..SLOTS as i16).map(Slot).filter(|slot| taken.iter().all(|(other, _)| other != slot)).collect();
    // Members that start together reach for different slots.
    let start = free.len() * rank / names.len();
    free.rotate_left(start);
    free.truncate(share - mine.len());
    Claims { of: share, claim: free, release: Vec::new() }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn a_relay_alone_takes_every_slot() {
        let claims = fair_share("a", &[], &[]);
        assert_eq!(claims.claim.len(), SLOTS);
        assert_eq!(claims.release, []);
    }

    #[test]
    fn a_second_relay_is_given_half() {
        let taken: Vec<_> = (0..64).map(|slot| (Slot(slot), "a".to_owned())).collect();
        let members = names(&["a", "b"]);
        assert_eq!(fair_share("a", &members, &taken).release, (32..64).map(Slot).collect::<Vec<_>>());
        assert_eq!(fair_share("b", &members, &taken), Claims { of: 32, ..Claims::default() });
    }

    proptest! {
        /// From any distribution, members that act in turn come to shares that differ by one at most, and stay there.
        #[test]
        fn members_come_to_fair_shares(owners in proptest::collection::vec(0..8_usize, SLOTS), members in 1..7_usize) {
            let members: Vec<String> = (0..members).map(|n| format!("relay-{n}")).collect();
            // An owner beyond the members has died: its slot is free.
            let mut taken: BTreeMap<Slot, String> = owners.iter().enumerate()
                .filter_map(|(slot, owner)| Some((Slot(slot as i16), members.get(*owner)?.clone()))).collect();
            let mut moved = 0;
            for _ in 0..2 {
                for me in &members {
                    let view: Vec<_> = taken.clone().into_iter().collect();
                    let claims = fair_share(me, &members, &view);
                    moved += claims.release.len();
                    taken.retain(|slot, _| !claims.release.contains(slot));
                    taken.extend(claims.claim.into_iter().map(|slot| (slot, me.clone())));
                }
            }
            let shares: Vec<usize> = members.iter().map(|me| taken.values().filter(|owner| *owner == me).count()).collect();
            prop_assert_eq!(shares.iter().sum::<usize>(), SLOTS);
            prop_assert!(shares.iter().max().unwrap() - shares.iter().min().unwrap() <= 1, "{:?}", shares);
            prop_assert!(moved <= SLOTS);
        }
    }
}
