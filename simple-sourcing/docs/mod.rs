//! Background: what each word means, and why the unusual choices were made. Only in the documentation; there is no code in it.

#[doc = include_str!("../src/glossary.md")]
pub mod glossary {}

/// Why the unusual choices were made: the situation, the decision, what follows from it, and what was tried.
pub mod decisions {
    #[doc = include_str!("decisions/0001-position-of-the-command.md")]
    pub mod d0001_position_of_the_command {}
    #[doc = include_str!("decisions/0002-no-kafka-streams.md")]
    pub mod d0002_no_kafka_streams {}
    #[doc = include_str!("decisions/0003-two-producers.md")]
    pub mod d0003_two_producers {}
    #[doc = include_str!("decisions/0004-json.md")]
    pub mod d0004_json {}
    #[doc = include_str!("decisions/0005-a-topic-for-states.md")]
    pub mod d0005_a_topic_for_states {}
    #[doc = include_str!("decisions/0006-a-topic-for-responses.md")]
    pub mod d0006_a_topic_for_responses {}
    #[doc = include_str!("decisions/0007-librdkafka.md")]
    pub mod d0007_librdkafka {}
    #[doc = include_str!("decisions/0008-a-pure-engine.md")]
    pub mod d0008_a_pure_engine {}
    #[doc = include_str!("decisions/0009-read-back.md")]
    pub mod d0009_read_back {}
    #[doc = include_str!("decisions/0010-fjall.md")]
    pub mod d0010_fjall {}
    #[doc = include_str!("decisions/0011-ids-with-a-window.md")]
    pub mod d0011_ids_with_a_window {}
    #[doc = include_str!("decisions/0012-a-group-only-assigns.md")]
    pub mod d0012_a_group_only_assigns {}
}
