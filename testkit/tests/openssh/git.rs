//! git over ssh, and signatures of git.

use std::process::Command;

use vmux_testkit::{Finished, World};

struct Git<'a> {
    world: &'a World,
    tree: String,
}

impl<'a> Git<'a> {
    fn new(world: &'a World, tree: &str) -> Self {
        let home = world.workstation.home();
        home.write(
            ".gitconfig",
            "[user]\n name = Somebody\n email = somebody@example.org\n",
        );
        let tree = home.path().join(tree).display().to_string();
        Self { world, tree }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.world.workstation.command("git");
        command.args(["-C", &self.tree]).args(arguments);
        command
    }

    #[track_caller]
    fn run(&self, arguments: &[&str]) -> Finished {
        self.world
            .workstation
            .home()
            .run(&mut self.command(arguments))
    }
}

#[test]
fn git_clones_and_pushes_over_ssh() {
    let world = World::new();
    let server = world.server("forge");
    let bare = server
        .home()
        .path()
        .join("project.git")
        .display()
        .to_string();
    world
        .workstation
        .run("git", &["init", "-q", "--bare", "-b", "main", &bare])
        .ok();

    let git = Git::new(&world, "project");
    let url = format!("forge:{bare}");
    world
        .workstation
        .run("git", &["clone", "-q", &url, &git.tree])
        .ok();
    world.workstation.home().write("project/file", "contents\n");
    git.run(&["add", "file"]).ok();
    git.run(&["commit", "-q", "-m", "first"]).ok();
    git.run(&["push", "-q", "origin", "HEAD:main"]).ok();
    let there = world
        .workstation
        .run("git", &["-C", &bare, "log", "--format=%s", "main"])
        .ok();
    assert_eq!(there.out, "first\n");

    let prompts = world.phone.prompts();
    assert_eq!(prompts.len(), 2, "{prompts:#?}");
    for (prompt, verb) in prompts.iter().zip(["git-upload-pack", "git-receive-pack"]) {
        assert_eq!(
            (&prompt["kind"], &prompt["level"]),
            (&"login".into(), &"direct".into())
        );
        let processes = prompt["reported"]["processes"].as_array().unwrap();
        assert!(
            processes[0]["command"].as_str().unwrap().contains(verb),
            "{prompt:#}"
        );
        let programs: Vec<_> = processes
            .iter()
            .map(|one| one["program"].as_str().unwrap())
            .collect();
        assert!(
            programs.iter().any(|program| program.ends_with("git")),
            "{prompt:#}"
        );
    }
}

#[test]
fn git_signs_commits_and_tags_and_verifies_them() {
    let world = World::new();
    let git = Git::new(&world, "signed");
    let home = world.workstation.home();
    let key = home
        .write("signing.pub", format!("{}\n", world.key))
        .display()
        .to_string();
    let key_words: Vec<_> = world.key.split(' ').take(2).collect();
    let allowed = format!(
        "somebody@example.org namespaces=\"git\" {}\n",
        key_words.join(" ")
    );
    let allowed = home.write("allowed", allowed).display().to_string();
    world
        .workstation
        .run("git", &["init", "-q", "-b", "main", &git.tree])
        .ok();
    for (name, value) in [
        ("gpg.format", "ssh"),
        ("user.signingkey", &key),
        ("gpg.ssh.allowedSignersFile", &allowed),
    ] {
        git.run(&["config", name, value]).ok();
    }
    home.write("signed/file", "contents\n");
    git.run(&["add", "file"]).ok();

    git.run(&["commit", "-q", "-S", "-m", "signed"]).ok();
    git.run(&["verify-commit", "HEAD"])
        .ok()
        .says(&["Good \"git\" signature"]);
    git.run(&["tag", "-s", "-m", "a tag", "v1"]).ok();
    git.run(&["verify-tag", "v1"])
        .ok()
        .says(&["Good \"git\" signature"]);

    let prompts = world.phone.prompts();
    assert_eq!(prompts.len(), 2, "{prompts:#?}");
    for prompt in prompts {
        assert_eq!(
            (&prompt["kind"], &prompt["namespace"]),
            (&"signature".into(), &"git".into())
        );
        assert_eq!(
            (&prompt["level"], &prompt["standing"]),
            (&"local".into(), &"none".into())
        );
        assert_eq!(prompt["hash"].as_str().map(str::len), Some(128));
        assert!(prompt["host"].is_null(), "{prompt:#}");
    }
    // A denied signature leaves no commit.
    let before = git.run(&["rev-parse", "HEAD"]).ok().out;
    world.decide(vmux_testkit::Decide::Deny);
    let denied = git.run(&["commit", "-q", "-S", "--allow-empty", "-m", "denied"]);
    assert_ne!(denied.code, Some(0), "{denied}");
    assert_eq!(git.run(&["rev-parse", "HEAD"]).ok().out, before);
}

#[test]
fn a_signature_of_a_namespace_that_is_not_allowed_is_refused_without_asking() {
    let world = World::new();
    let home = world.workstation.home();
    let key = home
        .write("signing.pub", format!("{}\n", world.key))
        .display()
        .to_string();
    let file = home.write("document", "contents\n").display().to_string();
    let sign = |namespace: &str| {
        let arguments = ["-Y", "sign", "-n", namespace, "-f", &key, &file];
        world.workstation.run("ssh-keygen", &arguments)
    };
    sign("file").ok();
    std::fs::remove_file(home.path().join("document.sig")).unwrap();
    let before = world.seen();
    assert_eq!(before, 1);
    let refused = sign("made-up@example.org");
    assert_ne!(refused.code, Some(0), "{refused}");
    assert_eq!(world.seen(), before);
    world.workstation.logs("not signed");
}
