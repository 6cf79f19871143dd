//! Logins, and what the person sees of them.

use vmux_testkit::World;

#[test]
fn a_real_ssh_logs_in_with_a_key_that_the_phone_holds() {
    let world = World::new();
    let server = world.server("web1");
    world.logs_in("web1");

    let prompt = world.phone.one_prompt_since(0);
    assert_eq!(prompt["kind"], "login");
    assert_eq!(prompt["level"], "direct");
    assert_eq!(prompt["standing"], "new");
    assert_eq!(prompt["host"]["fingerprint"], server.fingerprint());
    assert!(prompt["number"].is_u64(), "{prompt:#}");
}
