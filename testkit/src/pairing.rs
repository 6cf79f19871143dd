//! Pairing over the command lines of both programs, as a person's script does it.

use serde_json::Value;

use crate::link::OfferLink;
use crate::phone::Phone;
use crate::process::Running;
use crate::workstation::Workstation;

/// A pairing under way: both sides show their code.
#[derive(Debug)]
pub struct Pairing {
    /// The link of the offer.
    pub link: OfferLink,
    /// `vmux-agent pair`.
    pub agent: Running,
    /// `vmux-signer pair`.
    pub signer: Running,
    /// The code that the agent's side shows, and who it says it talks to.
    pub at_agent: Value,
    /// The code that the signer's side shows, and who it says it talks to.
    pub at_signer: Value,
}

/// What each side calls the other.
#[derive(Clone, Debug)]
pub struct PairedAs {
    /// The phone's id on the workstation.
    pub phone: String,
    /// The agent's id on the phone.
    pub agent: String,
    /// The link that was used.
    pub link: OfferLink,
    /// The code that both sides showed.
    pub code: String,
}

/// Pairs them; the person says yes on both sides.
#[track_caller]
pub fn pair(workstation: &Workstation, phone: &Phone) -> PairedAs {
    Pairing::begin(workstation, phone).confirm()
}

impl Pairing {
    /// Goes as far as the codes.
    #[track_caller]
    pub fn begin(workstation: &Workstation, phone: &Phone) -> Self {
        let (mut agent, link) = offer(workstation);
        let mut signer = phone.home().start(&mut phone.command(&["pair", &link]));
        let at_signer = signer.event("code");
        let at_agent = agent.event("code");
        assert_eq!(
            at_signer["code"], at_agent["code"],
            "both screens show the same code"
        );
        Self {
            link: OfferLink::parse(&link),
            agent,
            signer,
            at_agent,
            at_signer,
        }
    }

    /// The person says yes on both sides.
    #[track_caller]
    pub fn confirm(mut self) -> PairedAs {
        self.agent.say("yes");
        self.signer.say("yes");
        let (agent, phone) = (self.signer.event("done"), self.agent.event("done"));
        self.agent.finish().ok();
        self.signer.finish().ok();
        let id = |value: &Value| value.as_str().expect("a text").to_owned();
        PairedAs {
            phone: id(&phone["phone"]),
            agent: id(&agent["agent"]),
            link: self.link,
            code: id(&self.at_agent["code"]),
        }
    }
}

/// Starts `vmux-agent pair` and waits for the link.
#[track_caller]
pub fn offer(workstation: &Workstation) -> (Running, String) {
    let mut agent = workstation
        .home()
        .start(&mut workstation.agent_command(&["pair", "--json"]));
    let link = agent.event("offer")["link"]
        .as_str()
        .expect("a link")
        .to_owned();
    (agent, link)
}
