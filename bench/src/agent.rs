//! The agent as a process: how fast it starts and how much memory it takes.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::client::{Client, Crowd};
use crate::figures::{Bar, Figure, Row, Samples};
use crate::login;
use crate::program::Program;
use crate::world::{Agent, OpenSsh, Place, Relay, Setting, agent_command, free_port};

/// From the start of the program to the first answer, with the agent's own relay.
pub(crate) fn start(setting: &Setting) -> Vec<Row> {
    let mut samples = [Samples::default(), Samples::default()];
    let [ours, openssh] = &mut samples;
    for _ in 0..setting.samples(2, 100) {
        let place = Place::new();
        let socket = place.path("desk/.ssh/vmux-agent.sock");
        started(&mut with_own_relay(setting, &place), &socket, &place, ours);
        let socket = place.path("openssh.sock");
        let mut command = Command::new("ssh-agent");
        command.arg("-D").arg("-a").arg(&socket);
        started(&mut command, &socket, &place, openssh);
    }
    let [ours, openssh] = samples.map(Samples::spread);
    vec![
        Row::new("from start to the first answer", ours)
            .beside(openssh)
            .bar(Bar::AtMost(Figure::ms(30))),
    ]
}

fn started(command: &mut Command, socket: &Path, place: &Place, samples: &mut Samples) {
    let since = Instant::now();
    let program = Program::start(command, &place.path("log"));
    crate::world::wait_for(socket);
    Client::connect(socket).ask(&login::list());
    samples.add(since.elapsed());
    drop(program);
}

fn with_own_relay(setting: &Setting, place: &Place) -> Command {
    let home = place.path("desk");
    std::fs::create_dir_all(home.join(".ssh")).expect("a home directory");
    let mut command = agent_command(&setting.programs, &home, place);
    let address = free_port().to_string();
    command.args(["run", "--relay-listen", &address]);
    command
}

/// Resident memory: idle, with idle clients, after very many requests.
pub(crate) fn memory(setting: &Setting) -> Vec<Row> {
    let mut rows = Vec::new();
    let place = Place::new();
    {
        let mut command = with_own_relay(setting, &place);
        let program = Program::start(&mut command, &place.path("log"));
        let socket = place.path("desk/.ssh/vmux-agent.sock");
        crate::world::wait_for(&socket);
        Client::connect(&socket).ask(&login::list());
        let (all, own) = (program.resident(), program.anonymous());
        rows.extend(all.map(|bytes| {
            Row::new("resident, idle, with its own relay", Figure::Bytes(bytes))
                .bar(Bar::AtMost(Figure::mib(12)))
        }));
        rows.extend(
            own.map(|bytes| Row::new("of that not from the program's file", Figure::Bytes(bytes))),
        );
    }
    let place = Place::new();
    let relay = Relay::start(setting, &place, "", 2);
    let agent = Agent::start(setting, &place, &relay.url());
    let _phone = agent.pair(&place);
    let openssh = OpenSsh::start(&place);
    let programs = [
        (&agent.program, agent.socket.as_path()),
        (&openssh.program, openssh.socket.as_path()),
    ];
    let now = || programs.map(|(program, _)| program.resident().unwrap_or_default());
    let row = |what: &str, [ours, openssh]: [u64; 2]| {
        Row::new(what, Figure::Bytes(ours)).beside(Figure::Bytes(openssh))
    };
    let idle = now();
    rows.push(row("resident, idle, a phone connected", idle));
    let (list, idlers) = (login::list(), setting.samples(20, 800));
    let crowds = programs.map(|(_, socket)| Crowd::connect(socket, idlers, &[&list]));
    let count = u64::try_from(idlers).expect("a small number");
    let with_clients = now();
    let mut each = with_clients;
    for (bytes, idle) in each.iter_mut().zip(idle) {
        *bytes = bytes.saturating_sub(idle).div_ceil(count);
    }
    rows.push(row(&format!("each of {idlers} idle clients"), each));
    drop(crowds);
    let requests = setting.samples(1000, 1_000_000);
    for (_, socket) in programs {
        Crowd::connect(socket, 8, &[&list]).ask(&list, requests);
    }
    rows.push(row(&format!("resident after {requests} lists"), now()));
    rows
}
