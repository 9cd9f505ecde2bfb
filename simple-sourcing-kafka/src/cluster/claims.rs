//! The records of an owner topic, and who owns an aggregate type according to them.

use serde::{Deserialize, Serialize};

/// An app claims to serve an aggregate type. The order of the log decides whether the claim holds: see [`owner`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Claim {
    pub(super) app: String,
    /// 1 for the first claim, and one more with each takeover.
    pub(super) epoch: u64,
    /// Whom it takes over from: the owner that this app knew of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) from: Option<String>,
}

impl Claim {
    /// The next claim of an app behind the one that holds.
    pub(super) fn behind(owner: Option<&Claim>, app: &str, from: Option<&str>) -> Self {
        let epoch = owner.map_or(0, |owner| owner.epoch) + 1;
        Claim { app: app.to_owned(), epoch, from: from.map(str::to_owned) }
    }

    /// Whether it holds behind the claim that held so far. It does not if its app did not know that claim.
    fn holds_behind(&self, owner: Option<&Claim>) -> bool {
        match owner {
            None => self.epoch == 1,
            Some(owner) => self.epoch == owner.epoch + 1 && self.from.as_ref() == Some(&owner.app),
        }
    }
}

/// The claim that holds, given all claims in the order of the log.
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
        // The former owner takes it back in the same way; its old claim has no effect.
        let back = Claim::behind(Some(&two), "one", Some("two"));
        assert_eq!(owned_by(&[one.clone(), two.clone(), one.clone()]).as_deref(), Some("two"));
        assert_eq!(owned_by(&[one, two, back]).as_deref(), Some("one"));
    }

    #[test]
    fn a_claim_is_read_as_it_was_written() {
        for claim in [claim("bank", 1, None), claim("bank-v2", 2, Some("bank"))] {
            let bytes = simple_sourcing::codec::json::encode(&claim).expect("it is written");
            assert_eq!(simple_sourcing::codec::json::decode::<Claim>(&bytes), Ok(claim));
        }
        let newer = br#"{"app":"bank","epoch":1,"what a later version adds":true}"#;
        assert_eq!(simple_sourcing::codec::json::decode::<Claim>(newer), Ok(claim("bank", 1, None)));
    }
}
