//! What stands in an owner topic, and who owns an aggregate type by it.

use serde::{Deserialize, Serialize};

/// An app says that it serves an aggregate type. Whether that holds is decided by the order of the log: see [`owner`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Claim {
    pub(super) app: String,
    /// 1 for the first, and one more with each hand-over.
    pub(super) epoch: u64,
    /// From whom it takes over: the owner that this app knew of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) from: Option<String>,
}

impl Claim {
    /// That of an app where this one holds.
    pub(super) fn behind(owner: Option<&Claim>, app: &str, from: Option<&str>) -> Self {
        let epoch = owner.map_or(0, |owner| owner.epoch) + 1;
        Claim { app: app.to_owned(), epoch, from: from.map(str::to_owned) }
    }

    /// Whether it holds behind the one that held so far. A claim of somebody who did not know of that one holds no more.
    fn holds_behind(&self, owner: Option<&Claim>) -> bool {
        match owner {
            None => self.epoch == 1,
            Some(owner) => self.epoch == owner.epoch + 1 && self.from.as_ref() == Some(&owner.app),
        }
    }
}

/// The claim that holds, of all in the order of the log.
pub(super) fn owner(claims: impl IntoIterator<Item = Claim>) -> Option<Claim> {
    claims.into_iter().fold(None, |owner, claim| if claim.holds_behind(owner.as_ref()) { Some(claim) } else { owner })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(app: &str, epoch: u64, from: Option<&str>) -> Claim {
        Claim { app: app.to_owned(), epoch, from: from.map(str::to_owned) }
    }

    fn owned_by(claims: &[Claim]) -> Option<String> {
        owner(claims.iter().cloned()).map(|owner| owner.app)
    }

    #[test]
    fn of_two_at_once_the_first_in_the_log_holds() {
        assert_eq!(owned_by(&[]), None);
        let (one, two) = (claim("one", 1, None), claim("two", 1, None));
        assert_eq!(owned_by(&[one.clone(), two.clone()]).as_deref(), Some("one"));
        assert_eq!(owned_by(&[two.clone(), one.clone()]).as_deref(), Some("two"));
        assert_eq!(owned_by(&[one.clone(), two, one]).as_deref(), Some("one"), "a claim that was sent twice");
    }

    #[test]
    fn a_hand_over_holds_behind_the_owner_that_it_names_and_once() {
        let one = claim("one", 1, None);
        let (two, three) =
            (Claim::behind(Some(&one), "two", Some("one")), Claim::behind(Some(&one), "three", Some("one")));
        assert_eq!(owned_by(&[one.clone(), two.clone(), three.clone()]).as_deref(), Some("two"));
        assert_eq!(owned_by(&[one.clone(), three, two.clone()]).as_deref(), Some("three"));
        assert_eq!(owned_by(&[one.clone(), claim("two", 2, None)]).as_deref(), Some("one"), "it names nobody");
        assert_eq!(owned_by(&[one.clone(), claim("two", 3, Some("one"))]).as_deref(), Some("one"), "of no known epoch");
        // The former owner takes it back in the same way, and not by a claim from before.
        let back = Claim::behind(Some(&two), "one", Some("two"));
        assert_eq!(owned_by(&[one.clone(), two.clone(), one.clone()]).as_deref(), Some("two"));
        assert_eq!(owned_by(&[one, two, back]).as_deref(), Some("one"));
    }

    #[test]
    fn a_claim_is_read_as_it_was_written() {
        for claim in [claim("bank", 1, None), claim("bank-v2", 2, Some("bank"))] {
            let bytes = simple_sourcing::codec::encode(&claim).expect("it is written");
            assert_eq!(simple_sourcing::codec::decode::<Claim>(&bytes), Ok(claim));
        }
        let newer = br#"{"app":"bank","epoch":1,"what a later version adds":true}"#;
        assert_eq!(simple_sourcing::codec::decode::<Claim>(newer), Ok(claim("bank", 1, None)));
    }
}
