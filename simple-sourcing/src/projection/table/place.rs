//! Where a pointer leads in the schema.

use super::{
    alternatives::{Content, Json},
    column::Column,
    pointer,
};
use crate::model::schema::{Schema, TextFormat};

/// What may stand at a place.
#[derive(Debug)]
pub(super) struct Place<'s> {
    found: Vec<Json<'s>>,
    /// Whether there may be nothing, or `null`.
    pub(super) is_optional: bool,
}

/// There is never anything where a pointer leads.
#[derive(Debug)]
pub(super) struct Nowhere {
    /// What there is instead, in words.
    pub(super) instead: String,
}

/// Follows the steps from the whole state.
pub(super) fn find<'s>(schema: &'s Schema, state: Content<'s>, steps: &[String]) -> Result<Place<'s>, Nowhere> {
    let (mut at, mut found, mut is_optional) = (String::new(), state.alternatives(schema), false);
    for step in steps {
        let mut next = Vec::new();
        for json in &found {
            let (content, is_always) = json.step(step);
            is_optional |= !is_always;
            next.extend(content.into_iter().flat_map(|content| content.alternatives(schema)));
        }
        if next.is_empty() {
            return Err(Nowhere::at(&at, &words(&found)));
        }
        found = next;
        at = format!("{at}/{}", step.replace('~', "~0").replace('/', "~1"));
    }
    let has_value = found.iter().any(|json| !matches!(json, Json::Null));
    is_optional |= found.iter().any(|json| matches!(json, Json::Null | Json::Unknown));
    if has_value { Ok(Place { found, is_optional }) } else { Err(Nowhere::at(&at, "always `null`")) }
}

impl Nowhere {
    fn at(pointer: &str, what: &str) -> Self {
        let at = if pointer.is_empty() { "the state".to_owned() } else { format!("`{pointer}`") };
        Nowhere { instead: format!("{at} is {what}") }
    }
}

impl Place<'_> {
    /// Whether a column of this type holds whatever may stand there.
    pub(super) fn fits(&self, column: Column) -> bool {
        self.found.iter().all(|json| json.fits(column))
    }

    /// Whether all integers that may stand there are in an `i64`.
    pub(super) fn fits_i64(&self) -> bool {
        self.found.iter().all(|json| !matches!(json, Json::Integer { fits_i64: false } | Json::Unknown))
    }

    /// What may stand there, in words.
    pub(super) fn words(&self) -> String {
        words(&self.found)
    }
}

impl<'s> Json<'s> {
    /// What a step leads to, and whether that is always there.
    fn step(&self, step: &str) -> (Vec<Content<'s>>, bool) {
        match self {
            Json::Items(item, length) => match (pointer::place(step), length) {
                (Some(place), Some(length)) => {
                    (if place < *length { vec![*item] } else { Vec::new() }, place < *length)
                }
                (Some(_), None) => (vec![*item], false),
                (None, _) => (Vec::new(), false),
            },
            Json::Places(places) => {
                let place = pointer::place(step).and_then(|place| places.get(place));
                (place.copied().into_iter().collect(), place.is_some())
            }
            Json::Values(value) => (vec![*value], false),
            Json::Members { members, is_open } => {
                let of_name = || members.iter().filter(|member| member.name == step);
                let is_always = of_name().any(|member| member.is_always);
                let mut content: Vec<_> = of_name().map(|member| member.content).collect();
                if *is_open && !is_always {
                    content.push(Content::Unknown);
                }
                (content, is_always)
            }
            Json::Unknown => (vec![Content::Unknown], false),
            _ => (Vec::new(), false),
        }
    }

    fn fits(&self, column: Column) -> bool {
        match (self, column) {
            (Json::Null | Json::Unknown, _) | (_, Column::Json) => true,
            (Json::Integer { .. }, Column::Integer | Column::Timestamp) => true,
            (Json::Real, Column::Real) | (Json::Boolean, Column::Boolean) | (Json::Text(_), Column::Text) => true,
            (Json::Text(format), Column::Uuid) => *format == TextFormat::Uuid,
            (Json::Text(format), Column::Timestamp) => *format == TextFormat::DateTime,
            _ => false,
        }
    }

    fn words(&self) -> String {
        let words = match self {
            Json::Null => "`null`",
            Json::Boolean => "a boolean",
            Json::Integer { .. } => "an integer",
            Json::Real => "a floating-point number",
            Json::Text(TextFormat::Uuid) => "a UUID",
            Json::Text(TextFormat::DateTime) => "a time",
            Json::Text(_) => "a text",
            Json::Items(..) | Json::Places(_) => "a list",
            Json::Values(_) => "an object",
            Json::Members { members, .. } => {
                let names: Vec<_> = members.iter().map(|member| format!("`{}`", member.name)).collect();
                return format!("an object with {}", listed(&names, "and"));
            }
            Json::Unknown => "something of which the schema knows nothing",
        };
        words.to_owned()
    }
}

fn words(found: &[Json<'_>]) -> String {
    let mut words: Vec<_> = found.iter().map(Json::words).collect();
    words.dedup();
    listed(&words, "or")
}

/// `a, b and c`.
pub(super) fn listed(words: &[String], last: &str) -> String {
    match words {
        [] => "nothing".to_owned(),
        [one] => one.clone(),
        [all @ .., end] => format!("{} {last} {end}", all.join(", ")),
    }
}
