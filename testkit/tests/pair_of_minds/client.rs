//! What programs on the workstation want, and what is true of it.
use crate::dice::Dice;
use crate::ssh::{LIST, Secret, bind_frame, commit, login, sign_frame};
use vmux_broker::Conversation;
use vmux_proto::binding::Use;
use vmux_proto::destination::Level;
use vmux_proto::key::PublicKey;
use vmux_proto::message::RequestId;

/// What is true of a request, known to the world alone.
#[derive(Clone, Debug)]
pub(crate) struct Truth {
    pub(crate) key: PublicKey,
    pub(crate) payload: Vec<u8>,
    /// How well the destination is proven; `None` if the request contradicts itself.
    pub(crate) level: Option<Level>,
    /// The host that really holds the other end of the session, where the bytes or bindings name one.
    pub(crate) host: Option<PublicKey>,
    pub(crate) hops: Vec<PublicKey>,
}

/// A program connected to the agent.
pub(crate) struct Client {
    pub(crate) conversation: Conversation,
    /// When it connected, in milliseconds of uptime.
    pub(crate) connected: u64,
    pub(crate) truth: Truth,
    /// Requests it sent and replies it got.
    pub(crate) sent: usize,
    pub(crate) replies: usize,
    /// The sign request of it that waits.
    pub(crate) waiting: Option<RequestId>,
}

impl Client {
    /// A program that wants something with this key, and has sent all of it.
    pub(crate) fn new(key: &PublicKey, hosts: &[Secret], connected: u64, dice: &mut Dice) -> Self {
        let (host, hop) = (dice.pick(hosts).unwrap(), dice.pick(hosts).unwrap());
        let (session, hop_session) = (dice.bytes::<32>(), dice.bytes::<32>());
        let bound_login = host.binding(&session, Use::Login);
        let through_hop = hop.binding(&hop_session, Use::Forwarding);
        let (to, from) = (host.public(), hop.public());
        let named = login(&session, key, Some(&to));
        let other = hosts
            .iter()
            .find(|other| !other.public().same_key(&to))
            .unwrap()
            .public();
        // Bindings, payload, how well it is proven, which host it names, hops on the way.
        let (bindings, payload, level, host, hops) = match dice.below(10) {
            0 | 1 => (
                vec![bound_login],
                named,
                Some(Level::Direct),
                Some(to),
                vec![],
            ),
            2 => {
                let plain = login(&session, key, None);
                (
                    vec![bound_login],
                    plain,
                    Some(Level::Direct),
                    Some(to),
                    vec![],
                )
            }
            3 => {
                let chain = vec![through_hop, bound_login];
                (chain, named, Some(Level::Forwarded), Some(to), vec![from])
            }
            4 => (vec![], named, Some(Level::Claimed), Some(to), vec![]),
            5 => (
                vec![],
                login(&session, key, None),
                Some(Level::Unknown),
                None,
                vec![],
            ),
            6 => (
                vec![],
                commit(dice.bytes()),
                Some(Level::Local),
                None,
                vec![],
            ),
            7 => {
                let commit = commit(dice.bytes());
                (
                    vec![through_hop],
                    commit,
                    Some(Level::ForwardedLocal),
                    None,
                    vec![from],
                )
            }
            8 => {
                let elsewhere = login(&session, key, Some(&other));
                (vec![bound_login], elsewhere, None, None, vec![])
            }
            _ => (vec![through_hop], named, None, None, vec![]),
        };
        let mut frames: Vec<Vec<u8>> = bindings.iter().map(|body| bind_frame(body)).collect();
        frames.extend([LIST.to_vec(), sign_frame(key, &payload)]);
        if dice.percent(30) {
            frames.extend([sign_frame(key, &payload), LIST.to_vec()]);
        }
        let mut conversation = Conversation::new();
        conversation.read(&frames.concat());
        Self {
            conversation,
            connected,
            truth: Truth {
                key: key.clone(),
                payload,
                level,
                host,
                hops,
            },
            sent: frames.len(),
            replies: 0,
            waiting: None,
        }
    }
}
