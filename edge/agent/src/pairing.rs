//! One pairing, from the offer on the control socket to the stored phone.
use std::time::Duration;

use tracing::debug;
use vmux_broker::{
    Entropy, Fresh, Pairing, PairingFailed, PairingInput, PairingOutput, PhoneRecord,
};
use vmux_host::relay::{MeetingId, RelayAddress, SeatEvent, SeatHandle, Trust, occupy};
use vmux_host::{clock, entropy};
use vmux_proto::mailbox::{MailboxId, Seat, Side};
use vmux_proto::message::Hello;

use crate::control::{Fault, Named, Reply, Request, Sameness, Wire, WireBroken};
use crate::hub::Hub;

/// Offers a pairing on `relay` and sees it through; tells the command line what happens.
pub(crate) async fn offer(
    hub: &Hub,
    relay: &str,
    hello: Hello,
    wire: &mut Wire,
) -> Result<(), WireBroken> {
    match begin(relay, hello) {
        Ok((pairing, address)) => {
            Host {
                hub,
                pairing,
                wire,
                met: None,
                stored: None,
                waited: 0,
            }
            .run(address)
            .await
        }
        Err(reason) => {
            let hint = "see `vmux-agent status` and the configuration's [relay]".to_owned();
            wire.send(&Reply::failed(reason, hint)).await
        }
    }
}

fn begin(relay: &str, hello: Hello) -> Result<(Pairing, RelayAddress), String> {
    let address = RelayAddress::parse(relay).map_err(|rejected| rejected.to_string())?;
    let fresh = entropy::fill()
        .and_then(|key| {
            Ok(Fresh {
                key,
                secret: entropy::fill()?,
                mailbox: entropy::fill()?,
            })
        })
        .map_err(|no_entropy| no_entropy.to_string())?;
    Ok((
        Pairing::new(&address.http_origin(), hello, &fresh, clock::now()),
        address,
    ))
}

struct Host<'a> {
    hub: &'a Hub,
    pairing: Pairing,
    wire: &'a mut Wire,
    met: Option<MeetingId>,
    /// Id and name, once stored.
    stored: Option<(String, String)>,
    /// Ticks since then.
    waited: u32,
}

/// Whether there is more to come.
enum Course {
    On,
    Over,
}

impl Host<'_> {
    async fn run(mut self, address: RelayAddress) -> Result<(), WireBroken> {
        let offer = self.pairing.offer();
        let seat = Seat {
            mailbox: MailboxId::from_bytes(offer.mailbox),
            side: Side::Agent,
        };
        let expires = offer.expires;
        let link = match offer.encode() {
            Ok(link) => link,
            Err(rejected) => {
                let (reason, hint) = (rejected.to_string(), rejected.hint().to_owned());
                return self.wire.send(&Reply::failed(reason, hint)).await;
            }
        };
        let (handle, mut events, occupant) = occupy(address, seat, Trust::web());
        let occupant = tokio::spawn(occupant);
        self.wire.send(&Reply::Offer { link, expires }).await?;
        let mut listening = true;
        let mut ticks = tokio::time::interval(TICK);
        loop {
            let input = tokio::select! {
                event = events.recv() => self.heard(event),
                said = self.wire.receive::<Request>(), if listening => {
                    let same = Request::Answer { same: Sameness::Same };
                    // Whoever hangs up in the middle has not said yes.
                    listening = said.as_ref().is_ok_and(|said| *said == same);
                    Some(if listening { PairingInput::Confirm } else { PairingInput::Reject })
                }
                _ = ticks.tick() => Some(self.tick()),
            };
            let Some(input) = input else { continue };
            self.pairing.handle(input, clock::now());
            if let Course::Over = self.perform(&handle).await? {
                break;
            }
        }
        drop(handle);
        // What was accepted is still sent: the phone learns how it ended.
        if tokio::time::timeout(FAREWELL, occupant).await.is_err() {
            debug!("the relay did not take the pairing's last words in time");
        }
        Ok(())
    }

    /// A phone that has stored the pairing says so at once; one that does not is not waited for.
    fn tick(&mut self) -> PairingInput {
        if self.stored.is_some() {
            self.waited = self.waited.saturating_add(1);
        }
        if self.waited > MAX_TICKS_FOR_STORED {
            PairingInput::Left
        } else {
            PairingInput::Tick
        }
    }

    fn heard(&mut self, event: Option<SeatEvent>) -> Option<PairingInput> {
        match event {
            Some(SeatEvent::Met(meeting)) => {
                self.met = Some(meeting);
                None
            }
            Some(SeatEvent::Frame(frame)) => Some(match entropy::fill() {
                Ok(bytes) => PairingInput::Frame(frame, Entropy::from_bytes(bytes)),
                Err(_) => PairingInput::Reject,
            }),
            Some(SeatEvent::Left | SeatEvent::Down { .. }) | None => {
                self.met = None;
                Some(PairingInput::Left)
            }
            Some(SeatEvent::Seated) => None,
        }
    }

    async fn perform(&mut self, handle: &SeatHandle) -> Result<Course, WireBroken> {
        while let Some(output) = self.pairing.poll() {
            let last = match output {
                PairingOutput::Send(frame) => {
                    self.send(handle, &frame);
                    continue;
                }
                PairingOutput::Restart => {
                    handle.reset();
                    continue;
                }
                PairingOutput::Compare { code, name, kind } => {
                    let phone = Named {
                        name: name.to_string(),
                        kind: kind.to_string(),
                    };
                    self.wire
                        .send(&Reply::Code {
                            code: code.to_string(),
                            phone,
                        })
                        .await?;
                    continue;
                }
                PairingOutput::Store(record) => match self.store(record).await {
                    Ok(()) => continue,
                    Err(failed) => failed,
                },
                PairingOutput::Done => self.done(None),
                PairingOutput::DoneHere => self.done(Some(
                    "the phone left before it said that it stored the pairing: \
                     if it does not connect, unpair it and pair again",
                )),
                PairingOutput::Failed(failed) => failure(failed),
            };
            self.wire.send(&last).await?;
            return Ok(Course::Over);
        }
        Ok(Course::On)
    }

    fn send(&self, handle: &SeatHandle, frame: &[u8]) {
        let Some(meeting) = self.met else { return };
        if let Err(not_sent) = handle.send(meeting, frame) {
            debug!(%not_sent, "a pairing frame was not sent");
        }
    }

    async fn store(&mut self, record: Box<PhoneRecord>) -> Result<(), Reply> {
        let stored = (record.id().to_string(), record.name.to_string());
        match self.hub.pair(record).await {
            Ok(()) => {
                self.stored = Some(stored);
                self.pairing.handle(PairingInput::Stored, clock::now());
                Ok(())
            }
            Err(not_done) => Err(Reply::failed(
                not_done,
                "see the agent's log; the phone's side must unpair",
            )),
        }
    }

    fn done(&mut self, note: Option<&str>) -> Reply {
        match self.stored.take() {
            Some((phone, name)) => Reply::Done {
                phone,
                name,
                note: note.map(str::to_owned),
            },
            None => failure(PairingFailed::Confused),
        }
    }
}

fn failure(failed: PairingFailed) -> Reply {
    let fault = match failed {
        PairingFailed::RejectedHere | PairingFailed::RejectedThere => Fault::Refusal,
        PairingFailed::Expired
        | PairingFailed::NotProven
        | PairingFailed::Version
        | PairingFailed::Gone
        | PairingFailed::Confused => Fault::Failure,
    };
    Reply::Failed {
        reason: failed.to_string(),
        hint: failed.hint().to_owned(),
        fault,
    }
}

/// How often an offer's expiry is looked at.
const TICK: Duration = Duration::from_secs(1);

/// How long the phone has to say that it stored the pairing, in ticks.
const MAX_TICKS_FOR_STORED: u32 = 10;

/// How long the relay has to take the last words.
const FAREWELL: Duration = Duration::from_secs(2);
