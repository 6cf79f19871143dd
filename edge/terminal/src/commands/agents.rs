//! `vmux-signer agents` and `vmux-signer unpair`

use core::time::Duration;

use serde_json::json;
use tokio::runtime::Builder;
use tokio::time::timeout;
use vmux_host::clock;
use vmux_host::state_dir::StateRefused;
use vmux_proto::Untrusted;
use vmux_proto::audit::{Entry, Event};
use vmux_proto::crypto::PureRust;
use vmux_signer::{AgentRecord, Identities, Input, LinkId, Memory, Output, Pins, Signer};

use super::{Desktop, hello};
use crate::cli::{Resume, Unpair};
use crate::date::day;
use crate::desk::Wire as _;
use crate::failure::CommandFailed;
use crate::links::{Events, Links};

pub(super) fn list(desktop: &Desktop<'_>) -> Result<(), CommandFailed> {
    let agents = desktop.store.open()?.agents()?;
    for agent in &agents {
        let facts = json!({
            "agent": agent.id().to_string(),
            "name": agent.name.to_string(),
            "relay": agent.relay,
            "paired": agent.paired,
            "suspended": agent.suspended,
        });
        desktop.output.tell(&facts, |paint| {
            let name = paint.bold(&agent.name);
            let (id, relay, since) = (agent.id(), &agent.relay, day(agent.paired));
            let locked_out = if agent.suspended {
                let how = format!("locked out: `vmux-signer resume {}`", agent.name);
                format!("\n  {}", paint.red(how))
            } else {
                String::new()
            };
            format!("{name}\n  {id}, paired {since}, meets at {relay}{locked_out}")
        })?;
    }
    if agents.is_empty() {
        desktop.output.say(|_| {
            "no workstations; run `vmux-agent pair` on one, then `vmux-signer pair LINK`".to_owned()
        })?;
    }
    Ok(())
}

/// Lets a workstation ask again; a signer that runs takes that up within a second.
pub(super) fn resume(desktop: &Desktop<'_>, resume: &Resume) -> Result<(), CommandFailed> {
    let opened = desktop.store.open()?;
    let mut agents = opened.agents()?;
    let link = find(&agents, &resume.agent)?;
    let Some(record) = agents.iter_mut().find(|record| record.id() == link) else {
        return Ok(());
    };
    let name = record.name.clone();
    if !core::mem::take(&mut record.suspended) {
        return Err(CommandFailed::new(
            format!("{name} is not locked out"),
            "see `vmux-signer agents`, and `vmux-agent status` there",
        ));
    }
    opened.save_agents(&agents)?;
    let entry = Entry {
        link: Some(link.to_string()),
        peer: Some(name.to_string()),
        ..Entry::new(Event::Unlocked)
    };
    desktop.record(&opened, [entry])?;
    let event = json!({
        "event": "resumed",
        "agent": link.to_string(),
        "name": name.to_string(),
    });
    Ok(desktop.output.tell(&event, |_| {
        format!("{name} may ask again; run `vmux-agent unlock` there, too")
    })?)
}

/// Whether the agent has been told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Yes,
    ByTheRunningSigner,
    No,
}

pub(super) fn unpair(desktop: &Desktop<'_>, unpair: &Unpair) -> Result<(), CommandFailed> {
    let opened = desktop.store.open()?;
    let mut agents = opened.agents()?;
    let link = find(&agents, &unpair.agent)?;
    let at = agents.iter().position(|record| record.id() == link);
    let Some(record) = at.map(|at| agents.remove(at)) else {
        return Ok(());
    };
    opened.save_agents(&agents)?;
    let own_name = desktop.name(&opened)?;
    let name = record.name.clone();
    let entry = Entry {
        link: Some(link.to_string()),
        peer: Some(name.to_string()),
        ..Entry::new(Event::Unpaired)
    };
    desktop.record(&opened, [entry])?;
    drop(opened);
    // A running signer sees the change and tells the agent over the link it has.
    let told = match desktop.store.hold_run() {
        Err(StateRefused::Held { .. }) => Told::ByTheRunningSigner,
        Err(refused) => return Err(refused.into()),
        Ok(_only_one) => {
            let (links, heard) = Links::new(desktop.config.trust()?);
            let runtime = Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(tell(record, own_name, links, heard))
        }
    };
    let event = json!({
        "event": "unpaired",
        "agent": link.to_string(),
        "name": name.to_string(),
        "told": told != Told::No,
    });
    Ok(desktop.output.tell(&event, |_| match told {
        Told::Yes => format!("{name} is no longer paired, and knows it"),
        Told::ByTheRunningSigner => {
            format!("{name} is no longer paired; the running signer tells it if it is connected")
        }
        Told::No => format!(
            "{name} is no longer paired here; it could not be told, so run `vmux-agent unpair` there"
        ),
    })?)
}

fn find(agents: &[AgentRecord], wanted: &str) -> Result<LinkId, CommandFailed> {
    let by_id = LinkId::parse(wanted);
    let named: Vec<_> = agents
        .iter()
        .filter(|record| Some(record.id()) == by_id || record.name.raw() == wanted)
        .map(AgentRecord::id)
        .collect();
    match &named[..] {
        [one] => Ok(*one),
        [] => Err(CommandFailed::new(
            format!("no workstation is called {}", Untrusted::new(wanted)),
            "see `vmux-signer agents`",
        )),
        _ => Err(CommandFailed::new(
            format!("several workstations are called {}", Untrusted::new(wanted)),
            "name one by its id, as `vmux-signer agents` shows it",
        )),
    }
}

/// Meets the agent once to tell it.
async fn tell(record: AgentRecord, own_name: String, mut links: Links, mut heard: Events) -> Told {
    let link = record.id();
    if links.connect(&record).is_some() {
        return Told::No;
    }
    let (nothing, none) = (Identities::default(), Pins::default());
    let settings = vmux_signer::Settings {
        namespaces: Vec::new(),
    };
    let mut signer = Signer::new(
        hello(own_name),
        settings,
        nothing,
        none,
        vec![record],
        Memory::EMPTY,
    );
    let meeting = async {
        while let Some((link, event)) = heard.recv().await {
            let Ok(heard) = links.heard(link, event) else {
                return Told::No;
            };
            let Some(input) = heard.input else { continue };
            signer.handle(input, &PureRust, clock::now());
            while let Some(output) = signer.poll() {
                match output {
                    Output::Send(link, frame) => links.send(link, &frame),
                    Output::Restart(link) => links.restart(link),
                    Output::Opened(link) => {
                        signer.handle(Input::Unpair(link), &PureRust, clock::now());
                    }
                    Output::Forget(_) => return Told::Yes,
                    Output::Show(_)
                    | Output::Withdraw(..)
                    | Output::Sign(_)
                    | Output::Refused(..)
                    | Output::StorePins
                    | Output::StoreAgents
                    | Output::StoreBlocks
                    | Output::Record(_) => {}
                }
            }
        }
        Told::No
    };
    let told = timeout(MEETING, meeting).await.unwrap_or(Told::No);
    links.give_up(link);
    links.close(&mut heard).await;
    told
}

/// How long an agent that is there takes to answer, with time to spare.
const MEETING: Duration = Duration::from_secs(5);
