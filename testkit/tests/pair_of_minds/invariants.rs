//! What must hold after every step, whatever happened.
use crate::ledger::{Belief, Ledger, Place};
use crate::world::World;
use vmux_proto::crypto::PureRust;
use vmux_proto::key::PublicKey;
use vmux_proto::signature::verify;

/// How far the ledger was checked; what stands there does not change.
#[derive(Default)]
pub(crate) struct Checked {
    jobs: usize,
    released: usize,
    shown: usize,
    spoilt: usize,
}

/// Checks all of them.
pub(crate) fn check(world: &World, checked: &mut Checked) {
    let ledger = &world.ledger;
    invariant_i3_no_approval_no_signature(ledger, checked);
    invariant_i4_one_approval_one_signature(ledger);
    invariant_i5_nothing_late(ledger, checked);
    invariant_i7_what_a_client_gets_verifies(ledger, checked);
    invariant_i8_what_a_client_gets_is_on_record(world, checked);
    invariant_i11_the_destination_is_true_on_both_ends(ledger, checked);
    invariant_i14_a_frame_out_of_step_ends_the_channel(ledger, checked);
    invariant_i15_only_a_phone_that_is_there_is_connected(world);
    invariant_i21_one_reply_a_request(world);
    checked.jobs = ledger.jobs.len();
    checked.released = ledger.released.len();
    checked.shown = ledger.shown.len();
    checked.spoilt = ledger.spoilt.len();
}

/// A key signs, and a client gets, only what the person saw and approved on that phone.
fn invariant_i3_no_approval_no_signature(ledger: &Ledger, checked: &Checked) {
    for job in &ledger.jobs[checked.jobs..] {
        let approved = ledger.approvals.iter().any(|approval| {
            approval.phone == job.phone
                && approval.prompt.request == job.request
                && approval.prompt.fingerprint == job.key
                && approval.at <= job.at
        });
        assert!(approved, "I3: a key was used without an approval");
        let asked = &ledger.asked[&job.request];
        assert_eq!(
            asked.truth.payload, job.bytes,
            "I2: other bytes than those asked for"
        );
        assert!(
            asked.truth.key.fingerprint() == job.key,
            "another key than the one asked for"
        );
    }
    for released in &ledger.released[checked.released..] {
        let request = released.request.unwrap();
        let made = ledger.jobs.iter().any(|job| job.request == request);
        assert!(made, "I3: a signature no key was asked for");
        assert_eq!(
            ledger.asked[&request].client, released.client,
            "another client's signature"
        );
    }
}

fn invariant_i4_one_approval_one_signature(ledger: &Ledger) {
    for job in &ledger.jobs {
        let same = |phone: usize, request| phone == job.phone && request == job.request;
        let jobs = ledger
            .jobs
            .iter()
            .filter(|job| same(job.phone, job.request))
            .count();
        let approvals = ledger
            .approvals
            .iter()
            .filter(|approval| same(approval.phone, approval.prompt.request))
            .count();
        assert!(
            jobs <= approvals,
            "I4: {jobs} signatures for {approvals} approvals"
        );
    }
    let mut answered: Vec<_> = ledger
        .released
        .iter()
        .map(|released| released.request)
        .collect();
    answered.sort_unstable();
    answered.dedup();
    assert_eq!(
        answered.len(),
        ledger.released.len(),
        "I4: a request was answered twice"
    );
}

fn invariant_i5_nothing_late(ledger: &Ledger, checked: &Checked) {
    for job in &ledger.jobs[checked.jobs..] {
        let shown = ledger.shown.iter().rev();
        let prompt = shown
            .map(|(_, prompt)| prompt)
            .find(|prompt| prompt.request == job.request);
        assert!(
            job.at < prompt.unwrap().deadline,
            "I5: signed after the prompt's end"
        );
    }
    for released in &ledger.released[checked.released..] {
        let asked = &ledger.asked[&released.request.unwrap()];
        assert!(
            released.at < asked.until,
            "I5: answered after the request's end"
        );
    }
}

fn invariant_i7_what_a_client_gets_verifies(ledger: &Ledger, checked: &Checked) {
    for released in &ledger.released[checked.released..] {
        let truth = &released.truth;
        let good = verify(&PureRust, &truth.key, &truth.payload, &released.signature);
        assert!(
            good.is_ok(),
            "I7: a client got a signature that does not verify"
        );
    }
}

/// The approval of every signature was on disk when the client got it.
fn invariant_i8_what_a_client_gets_is_on_record(world: &World, checked: &Checked) {
    for released in &world.ledger.released[checked.released..] {
        assert!(
            released.on_record,
            "I8: a signature left before its record was safe"
        );
    }
}

fn invariant_i11_the_destination_is_true_on_both_ends(ledger: &Ledger, checked: &Checked) {
    for (_, prompt) in &ledger.shown[checked.shown..] {
        let asked = &ledger.asked[&prompt.request];
        let truth = &asked.truth;
        assert_eq!(Some(prompt.level), truth.level, "I11: on the phone");
        assert_eq!(Some(asked.level), truth.level, "I11: on the workstation");
        let host = truth.host.as_ref().map(PublicKey::fingerprint);
        assert_eq!(
            prompt.host.as_ref().map(|host| host.fingerprint),
            host,
            "I11: on the phone"
        );
        assert_eq!(asked.host, truth.host, "I11: on the workstation");
        assert_eq!(asked.hops, truth.hops, "I11: on the workstation");
        let hops: Vec<_> = prompt.hops.iter().map(|hop| hop.fingerprint).collect();
        let expected: Vec<_> = truth.hops.iter().map(PublicKey::fingerprint).collect();
        assert_eq!(hops, expected, "I11: on the phone");
    }
    let contradictory = ledger
        .asked
        .values()
        .any(|asked| asked.truth.level.is_none());
    assert!(
        !contradictory,
        "I11: a request that contradicts itself reached a phone"
    );
}

fn invariant_i14_a_frame_out_of_step_ends_the_channel(ledger: &Ledger, checked: &Checked) {
    assert_eq!(ledger.repeated, 0, "I14: two frames are the same");
    for spoilt in &ledger.spoilt[checked.spoilt..] {
        let believed = spoilt.effects.belief == Belief::Something;
        assert!(
            !believed,
            "I14: a frame out of step was believed: {spoilt:?}"
        );
        let harmless = matches!(spoilt.place, Place::RecordedCall | Place::AfterTheEnd);
        assert!(
            spoilt.effects.restarted || harmless,
            "I14: the channel went on: {spoilt:?}"
        );
    }
}

/// A phone counts as connected, and an agent as reached, only by frames of this very meeting.
fn invariant_i15_only_a_phone_that_is_there_is_connected(world: &World) {
    for (at, phone) in world.phones.iter().enumerate() {
        if world.is_connected(at) {
            let connection = &world.connections[at];
            assert!(
                !connection.spoilt && connection.in_step >= 2,
                "I15: {connection:?}"
            );
        }
        if phone.believes_to_be_connected() {
            let connection = &phone.connection;
            assert!(
                !connection.spoilt && connection.in_step >= 1,
                "I15: {connection:?}"
            );
        }
    }
}

fn invariant_i21_one_reply_a_request(world: &World) {
    for client in world.clients.values() {
        assert!(client.replies <= client.sent, "more replies than requests");
    }
}
