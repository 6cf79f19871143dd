//! The phone is another user: nothing but the relay joins the two.

use vmux_testkit::{KeyKind, Phone, Place, RelayProgram, Server, Workstation, is_root, pair};

#[test]
fn a_signer_that_runs_as_another_user_signs_over_the_relay_alone() {
    if !is_root() {
        eprintln!("not run: only root can start a signer as another user");
        return;
    }
    let place = Place::new();
    let relay = RelayProgram::start(place.home("relay"));
    let mut workstation = Workstation::with_relay(place.home("desk"), "workbench", &relay.url());
    let mut phone = Phone::new(
        place.home("phone").belonging_to("nobody"),
        "somebody else's phone",
    );
    let key = phone.new_key("phone key", KeyKind::Ecdsa);
    workstation.start();
    pair(&workstation, &phone);
    phone.start();
    workstation.sees_phones(1);

    let server = Server::start(&place, "web1");
    server.allow(&key);
    workstation.knows(&server);
    let done = workstation.ssh(&["web1", "echo", "here"]).ok();
    assert_eq!(done.out, "here\n");
    let prompt = phone.one_prompt_since(0);
    assert_eq!(
        (&prompt["level"], &prompt["workstation"]["name"]),
        (&"direct".into(), &"workbench".into())
    );

    // The one cannot read what the other keeps.
    let state = workstation.state_dir().display().to_string();
    let looked = phone.home().run(phone.home().command("/bin/ls").arg(state));
    assert_ne!(looked.code, Some(0), "{looked}");
}
