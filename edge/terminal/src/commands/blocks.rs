//! `vmux-signer blocks`

use serde_json::json;
use vmux_host::clock;
use vmux_proto::Untrusted;
use vmux_proto::audit::{Entry, Event};
use vmux_signer::{AgentRecord, Blocked};

use super::Desktop;
use crate::cli::{Blocks, Lift};
use crate::failure::CommandFailed;
use crate::front::prompt_json::source;

/// Lists what is blocked, or lifts it; a signer that runs takes that up within a second.
pub(super) fn blocks(desktop: &Desktop<'_>, command: &Blocks) -> Result<(), CommandFailed> {
    match command.lift {
        None => list(desktop),
        Some(lift) => lift_some(desktop, lift),
    }
}

fn list(desktop: &Desktop<'_>) -> Result<(), CommandFailed> {
    let opened = desktop.store.open()?;
    let (blocks, agents) = (opened.blocks()?, opened.agents()?);
    let now = clock::now().wall;
    let mut none = true;
    let live = blocks.iter().filter(|block| now < block.ends);
    for (number, block) in (1_u64..).zip(live) {
        none = false;
        let left = block.ends.saturating_sub(now);
        let name = name(&agents, block);
        let facts = json!({
            "number": number,
            "agent": block.link.to_string(),
            "name": name,
            "source": source(&block.source),
            "ends": block.ends,
            "left_s": left,
        });
        desktop.output.tell(&facts, |paint| {
            let (from, minutes) = (paint.bold(&block.source), left.div_ceil(60));
            format!("{number}  {from} of {name}, for {minutes} more minutes")
        })?;
    }
    if none {
        desktop.output.say(|_| "nothing is blocked".to_owned())?;
    }
    Ok(())
}

fn lift_some(desktop: &Desktop<'_>, lift: Lift) -> Result<(), CommandFailed> {
    let opened = desktop.store.open()?;
    let (mut blocks, agents) = (opened.blocks()?, opened.agents()?);
    let now = clock::now().wall;
    let live = blocks.iter().filter(|block| now < block.ends);
    let lifted: Vec<_> = match lift {
        Lift::All => live.cloned().collect(),
        Lift::One(number) => live
            .skip(number.saturating_sub(1))
            .take(1)
            .cloned()
            .collect(),
    };
    if let (Lift::One(number), []) = (lift, &lifted[..]) {
        return Err(CommandFailed::new(
            format!("there is no block {number}"),
            "see `vmux-signer blocks`",
        ));
    }
    for block in &lifted {
        blocks.lift(block.link, &block.source);
    }
    opened.save_blocks(&blocks)?;
    desktop.record(&opened, lifted.iter().map(|block| entry(&agents, block)))?;
    let event = json!({ "event": "lifted", "blocks": lifted.len() });
    Ok(desktop.output.tell(&event, |_| match lifted.len() {
        1 => "one block is lifted".to_owned(),
        more => format!("{more} blocks are lifted"),
    })?)
}

fn entry(agents: &[AgentRecord], block: &Blocked) -> Entry {
    Entry {
        link: Some(block.link.to_string()),
        peer: Some(name(agents, block)),
        source: Some(block.source.to_string()),
        ..Entry::new(Event::Unblocked)
    }
}

fn name(agents: &[AgentRecord], block: &Blocked) -> String {
    let agent = agents.iter().find(|record| record.id() == block.link);
    agent
        .map_or(Untrusted::new("?"), |record| record.name.clone())
        .to_string()
}
