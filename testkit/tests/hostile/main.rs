//! The programs of the product, and others that mean no good between them or in place of one.
//!
//! What must hold each time: no signature that nobody approved, no pairing that only one side knows
//! of without saying so, no waiting without an end, other clients' lists at once, and everything
//! works again by itself when the hostile party is gone or behaves.
//!
//! | who | does what | shown by |
//! |---|---|---|
//! | agent | names another host, user, chain, order or level | [`agent`]: `i11_…`, `i2_…`; `pair_of_minds/liar.rs` |
//! | | hides a hop | `i11_the_prompt_names_the_host_the_user_and_the_hops_that_the_bytes_prove` |
//! | | passes a host off under a known name | `a_known_name_for_another_host_is_shown_as_what_it_is` |
//! | | replays an id, with other bytes | `i4_an_id_is_good_for_the_bytes_it_came_with_and_one_signature` |
//! | | floods the screen, waits for ever | `more_requests_than_a_person_can_look_at_are_refused_at_once` |
//! | | cancels, replays or unpairs for another agent | `an_agent_cannot_touch_the_requests_of_another` |
//! | relay | drops | [`relay`]: `frames_lost_or_in_another_order_…`, `a_handshake_of_which_a_message_is_lost_…`; [`pairing`]: `i15_lost_…` |
//! | | delays | `frames_that_come_late_make_a_login_slower_and_nothing_else` |
//! | | reorders | `frames_lost_or_in_another_order_cost_logins_and_no_more` |
//! | | replays | `i4_frames_that_come_twice_…`, `i4_frames_kept_from_an_earlier_login_…`; [`pairing`]: `i15_repeated_…` |
//! | | tampers | `i14_frames_with_a_bit_changed_sign_nothing`, `i13_words_and_lengths_…`; [`pairing`]: `i15_changed_…` |
//! | | floods, announces too much | `a_flood_of_frames_and_pings_is_outlived`, `i13_words_and_lengths_…` |
//! | | splits | `messages_in_many_small_pieces_with_pings_between_them_arrive` |
//! | | closes at each step | `closed_at_each_step_of_a_request_…`; [`pairing`]: `i15_closed_…` |
//! | | all of it at random, in virtual time | `pair_of_minds/stories.rs` |
//! | signer | answers wrongly, for another key, with another algorithm | [`signer`]: `i7_whatever_a_phone_sends_for_a_signature_…` |
//! | | answers late, after a cancel | `i5_an_answer_after_the_deadline_or_after_a_cancel_is_nobodys` |
//! | | answers twice, another request, a request of another phone | `i4_answers_to_other_requests_…`, `a_phone_answers_for_its_own_requests_alone` |
//! | | offers another's key, an altered certificate, no keys, hostile labels | `a_phone_that_takes_the_key_of_another_…`, `an_altered_certificate_…`, `i20_identities_that_are_none_…` |
//! | | sends more than the limits allow, or no message | `messages_beyond_a_limit_…`, `i14_bytes_that_are_no_frame_…` |
//! | | leaves, reads nothing | `a_phone_that_unpairs_in_the_middle_…`, `a_phone_that_reads_nothing_delays_nobody` |
//! | client | sends garbage | [`clients`]: `i13_garbage_of_every_kind_…`; `bad_input/socket.rs` |
//! | | announces huge messages | `i13_a_length_that_cannot_be_is_hung_up_on_and_nobody_else` in `bad_input` |
//! | | is slow, sends half frames | `requests_that_come_byte_by_byte_are_served`, `frames_begun_and_never_finished_…` |
//! | | connects a thousand times and once more | `i19_a_thousand_clients_have_a_place_and_one_more_has_none` |
//! | | pipelines | `hundreds_of_requests_in_one_write_…`, `whoever_sends_ahead_without_end_…` |
//! | | never reads, closes its half | `many_that_never_read_delay_nobody`, `tools_that_close_their_half_…` |
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of a test: whatever they do not expect is a failed test"
)]

mod agent;
mod chair;
mod clients;
mod false_agent;
mod false_signer;
mod middle;
mod pairing;
mod relay;
mod signer;
#[path = "../pair_of_minds/ssh.rs"]
mod ssh;
mod ws;

use std::time::Duration;

use vmux_testkit::{AgentClient, Workstation};

/// The bytes of a reply's first byte.
const FAILURE: u8 = 5;
const SUCCESS: u8 = 6;
const IDENTITIES: u8 = 12;
const SIGNATURE: u8 = 14;

/// Another client lists the identities while this goes on, and does not notice it.
#[track_caller]
fn lists_are_instant(workstation: &Workstation) {
    let listed = workstation.run("ssh-add", &["-L"]);
    assert!(listed.took < GENEROUS, "{listed}");
    assert!(matches!(listed.code, Some(0 | 1)), "{listed}");
}

/// A client that asks what it likes.
#[track_caller]
fn client(workstation: &Workstation) -> AgentClient {
    AgentClient::connect(&workstation.socket())
}

/// A list takes a few milliseconds; a program that is started on a busy machine takes longer.
const GENEROUS: Duration = Duration::from_secs(3);
