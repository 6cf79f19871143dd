use super::*;
use crate::front::Act;
use crate::front::screen::discard;
use crate::front::screen::keys::{Mode, Next};
use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use std::collections::VecDeque;
use vmux_proto::message::{Number, RequestId};
use vmux_signer::{After, Decision, PinName, Pins, Withdrawn};

struct Person {
    screen: Screen,
    model: Model,
    size: Size,
    now: u64,
}

impl Person {
    fn facing(prompts: &[Prompt]) -> Self {
        let (screen, model) = world(prompts);
        Self {
            screen,
            model,
            size: USUAL,
            now: NOW,
        }
    }

    fn before(prompt: &Prompt) -> Self {
        Self::facing(std::slice::from_ref(prompt))
    }

    fn press(&mut self, code: KeyCode) -> Option<Act> {
        self.press_with(code, KeyModifiers::NONE)
    }

    fn press_with(&mut self, code: KeyCode, modifiers: KeyModifiers) -> Option<Act> {
        self.screen.key(
            KeyEvent::new(code, modifiers),
            &self.model,
            self.size,
            self.now,
        )
    }

    /// Presses several; only the last may do something.
    fn type_in(&mut self, keys: &str) -> Option<Act> {
        let mut act = None;
        for key in keys.chars() {
            assert_eq!(act, None);
            act = self.press(match key {
                '\n' => KeyCode::Enter,
                '\t' => KeyCode::Tab,
                '\u{8}' => KeyCode::Backspace,
                '\u{1b}' => KeyCode::Esc,
                other => KeyCode::Char(other),
            });
        }
        act
    }

    fn withdrawn(&mut self, prompt: &Prompt) {
        self.model
            .take(News::Withdrawn(prompt, Withdrawn::Cancelled));
        self.screen.follow(&self.model);
    }

    /// The request has been on the screen for a moment.
    fn sees_it(&mut self) {
        self.screen.seen(self.now);
        self.now += GUARD_MS;
    }

    fn sees(&self) -> String {
        text(&drawn(&self.screen, &self.model, self.size, Theme::Colours))
    }
}

#[expect(clippy::unnecessary_wraps, reason = "compared with what a key does")]
fn deny(prompt: &Prompt) -> Option<Act> {
    Some(Act::Decide(prompt.request, Decision::Deny(After::Nothing)))
}

#[expect(clippy::unnecessary_wraps, reason = "compared with what a key does")]
fn approve(prompt: &Prompt, number: Option<&str>, name: Option<&str>) -> Option<Act> {
    let number = number.and_then(Number::parse);
    let name = name.map(|name| PinName::parse(name).unwrap());
    Some(Act::Decide(
        prompt.request,
        Decision::Approve { number, name },
    ))
}

#[test]
fn one_key_approves_a_known_host_and_one_denies() {
    let prompt = sample::pinned();
    assert_eq!(
        Person::before(&prompt).type_in("a"),
        approve(&prompt, None, None)
    );
    assert_eq!(Person::before(&prompt).type_in("d"), deny(&prompt));
    for key in "AyYntD \n\u{1b}\u{8}1".chars() {
        assert_eq!(
            Person::before(&prompt).type_in(&key.to_string()),
            None,
            "{key:?}"
        );
    }
    for modifier in [
        KeyModifiers::ALT,
        KeyModifiers::CONTROL,
        KeyModifiers::SUPER,
    ] {
        let mut person = Person::before(&prompt);
        assert_eq!(person.press_with(KeyCode::Char('a'), modifier), None);
    }
}

#[test]
fn where_a_number_is_needed_only_two_digits_and_enter_approve() {
    for prompt in [
        sample::new(),
        sample::claimed(),
        sample::unknown(),
        sample::forwarded(),
    ] {
        let name = (prompt.host == sample::new().host).then_some("web-1.example");
        let mut person = Person::before(&prompt);
        for not_yet in ["a", "\n", "4", "\n", "x", "2", "3", "a"] {
            assert_eq!(person.type_in(not_yet), None, "{not_yet:?}");
        }
        assert_eq!(person.screen.mode, Mode::Number("42".to_owned()));
        assert_eq!(person.type_in("\n"), approve(&prompt, Some("42"), name));
    }
}

#[test]
fn digits_can_be_taken_back_and_what_is_no_number_is_not_sent() {
    let prompt = sample::unknown();
    let mut person = Person::before(&prompt);
    assert_eq!(
        person.type_in("a41\u{8}2\n"),
        approve(&prompt, Some("42"), None)
    );

    let mut person = Person::before(&prompt);
    assert_eq!(person.type_in("a07\n"), None);
    assert!(person.sees().contains("from 10 to 99"), "{}", person.sees());
    assert_eq!(person.type_in("42\n"), approve(&prompt, Some("42"), None));

    let mut person = Person::before(&prompt);
    assert_eq!(person.type_in("a4\u{1b}d"), deny(&prompt));
}

#[test]
fn a_wrong_number_goes_to_the_trusted_part_which_refuses_it() {
    // The screen does not know the right one, so nobody can try numbers here.
    let prompt = sample::new();
    let mut person = Person::before(&prompt);
    assert_eq!(
        person.type_in("a43\n"),
        approve(&prompt, Some("43"), Some("web-1.example"))
    );
    assert_eq!(person.type_in("a42\n"), None, "one try");
}

#[test]
fn a_changed_host_can_be_denied_and_nothing_else() {
    let prompt = sample::changed();
    let mut person = Person::before(&prompt);
    assert_eq!(person.type_in("a42\n"), None);
    assert_eq!(person.screen.mode, Mode::Looking);
    assert!(
        person
            .sees()
            .contains("vmux-signer pins forget web-1.example"),
        "{}",
        person.sees()
    );
    person.type_in("a");
    assert!(
        person
            .sees()
            .contains("A changed host key cannot be approved."),
        "{}",
        person.sees()
    );
    assert_eq!(person.type_in("d"), deny(&prompt));
}

#[test]
fn keys_pressed_before_the_request_could_be_seen_do_nothing() {
    for keys in ["a", "d", "q", "n"] {
        let prompt = sample::pinned();
        let mut person = Person::before(&prompt);
        person.now = NOW - 1;
        assert_eq!(person.type_in(keys), None, "{keys}");
        assert_eq!(person.screen.mode, Mode::Looking);
    }
    let mut person = Person::before(&sample::pinned());
    person.now = NOW;
    assert_eq!(person.type_in("a"), approve(&sample::pinned(), None, None));
}

#[test]
fn however_long_drawing_takes_no_key_counts_before_it_is_done() {
    let prompt = sample::pinned();
    let mut person = Person::facing(&[]);
    person.model.take(News::Asked(&prompt));
    person.screen.follow(&person.model);
    assert!(person.screen.is_unseen());
    for _ in 0..3 {
        person.now += 10 * GUARD_MS;
        assert_eq!(person.type_in("ad"), None);
    }
    person.screen.seen(person.now);
    assert_eq!(person.type_in("a"), None, "just appeared");
    person.now += GUARD_MS;
    assert_eq!(person.type_in("a"), approve(&prompt, None, None));
}

#[test]
fn a_request_in_the_place_of_a_withdrawn_one_is_unseen_and_the_one_that_stays_is_not() {
    let (first, second) = (sample::pinned(), sample::again(&sample::pinned(), 2));
    let mut person = Person::facing(&[first.clone(), second.clone()]);
    person.withdrawn(&second);
    assert!(!person.screen.is_unseen());
    person.model.take(News::Asked(&second));
    person.withdrawn(&first);
    assert!(person.screen.is_unseen());
}

#[test]
fn what_waited_while_a_request_was_drawn_is_thrown_away_except_control_c() {
    let key = |code, modifiers| Event::Key(KeyEvent::new(code, modifiers));
    let typed = |code| key(KeyCode::Char(code), KeyModifiers::NONE);
    let mut events = VecDeque::from([typed('a'), Event::Paste("a".to_owned()), typed('q')]);
    assert_eq!(discard(|| Ok(events.pop_front())).unwrap(), None);
    assert!(events.is_empty());
    let control_c = key(KeyCode::Char('c'), KeyModifiers::CONTROL);
    let mut events = VecDeque::from([typed('a'), control_c, typed('d')]);
    assert_eq!(discard(|| Ok(events.pop_front())).unwrap(), Some(Act::Quit));
    assert!(events.is_empty());
}

#[test]
fn a_key_held_down_since_before_never_counts() {
    let prompt = sample::pinned();
    let mut person = Person::before(&prompt);
    person.now = NOW - GUARD_MS;
    for _ in 0..100 {
        person.now += 30;
        assert_eq!(person.type_in("a"), None);
    }
    person.now += GUARD_MS;
    assert_eq!(person.type_in("a"), approve(&prompt, None, None));
}

#[test]
fn a_request_that_takes_the_screen_gets_none_of_the_keys_meant_for_another() {
    let (first, second) = (sample::new(), sample::again(&sample::new(), 2));
    let mut person = Person::facing(&[first.clone(), second.clone()]);
    assert_eq!(person.type_in("a4"), None);
    person.withdrawn(&first);
    assert_eq!(person.type_in("2\n"), None);
    assert_eq!(person.screen.mode, Mode::Looking);
    person.sees_it();
    assert_eq!(person.type_in("\n"), None);
    assert_eq!(
        person.type_in("a42\n"),
        approve(&second, Some("42"), Some("web-1.example"))
    );
}

#[test]
fn a_request_that_joins_the_queue_does_not_take_the_screen() {
    let (first, second) = (sample::new(), sample::again(&sample::pinned(), 2));
    let mut person = Person::before(&first);
    person.type_in("a4");
    person.model.take(News::Asked(&second));
    person.screen.follow(&person.model);
    assert_eq!(
        person.type_in("2\n"),
        approve(&first, Some("42"), Some("web-1.example"))
    );
}

#[test]
fn tab_goes_round_and_the_request_shown_is_the_one_decided() {
    let prompts: Vec<_> = (1..=3)
        .map(|id| sample::again(&sample::pinned(), id))
        .collect();
    let mut person = Person::facing(&prompts);
    let shown = |person: &Person| person.screen.shown(&person.model).unwrap().request;
    for expected in [2, 3, 1, 2] {
        assert_eq!(person.type_in("\t"), None);
        assert_eq!(shown(&person), RequestId([expected; 16]));
        assert_eq!(person.type_in("a"), None, "just appeared");
        person.sees_it();
    }
    assert_eq!(person.press(KeyCode::BackTab), None);
    person.sees_it();
    assert_eq!(person.type_in("d"), deny(&prompts[0]));
}

#[test]
fn a_decision_is_sent_once() {
    let mut person = Person::before(&sample::pinned());
    assert!(person.type_in("a").is_some());
    assert_eq!(person.type_in("adan\n"), None);
}

#[test]
fn a_new_host_gets_the_reported_name_or_the_one_typed() {
    let prompt = sample::new();
    let mut person = Person::before(&prompt);
    let erase = "\u{8}".repeat("web-1.example".len());
    assert_eq!(
        person.type_in(&format!("n{erase}db\na42\n")),
        approve(&prompt, Some("42"), Some("db"))
    );

    // From the field for the number, and back to it.
    let mut person = Person::before(&prompt);
    assert_eq!(
        person.type_in("an-2\n42\n"),
        approve(&prompt, Some("42"), Some("web-1.example-2"))
    );

    // Left without keeping it.
    let mut person = Person::before(&prompt);
    let expected = approve(&prompt, Some("42"), Some("web-1.example"));
    assert_eq!(person.type_in("nxyz\u{1b}a42\n"), expected);
}

#[test]
fn a_name_that_cannot_be_one_is_not_kept() {
    let prompt = sample::new();
    let mut person = Person::before(&prompt);
    assert_eq!(person.type_in("n two\n"), None);
    assert!(matches!(person.screen.mode, Mode::Name(..)));
    assert!(person.sees().contains("no spaces"), "{}", person.sees());
    person.press(KeyCode::Char('\u{202e}'));
    assert_eq!(
        person.screen.mode,
        Mode::Name("web-1.example two".to_owned(), Next::Looking)
    );

    // A reported name that cannot be a pin's is not taken over.
    let mut prompt = prompt;
    prompt.reported.host = Some("two words\u{202e}".to_owned());
    let mut person = Person::before(&prompt);
    assert_eq!(person.type_in("a42\n"), approve(&prompt, Some("42"), None));
}

#[test]
fn the_name_of_another_key_is_neither_suggested_nor_kept() {
    let prompt = sample::namesake();
    let mut person = Person::before(&prompt);
    assert_eq!(person.type_in("a42\n"), approve(&prompt, Some("42"), None));

    let mut person = Person::before(&prompt);
    person.model.take(News::Pins(&Pins::well_known()));
    assert_eq!(person.type_in("nGitHub.com.\n"), None);
    assert!(matches!(person.screen.mode, Mode::Name(..)));
    let sees = person.sees();
    assert!(sees.contains("the name of another key"), "{sees}");
    let expected = approve(&prompt, Some("42"), Some("GitHub.com.2"));
    assert_eq!(person.type_in("2\na42\n"), expected);
}

#[test]
fn only_new_hosts_get_names() {
    for prompt in [
        sample::pinned(),
        sample::changed(),
        sample::unknown(),
        sample::git(),
    ] {
        let mut person = Person::before(&prompt);
        person.type_in("n");
        assert_eq!(person.screen.mode, Mode::Looking);
    }
}

#[test]
fn pasted_text_decides_nothing_and_can_be_a_name() {
    let prompt = sample::new();
    let mut person = Person::before(&prompt);
    person.screen.paste("a42\n", person.now);
    assert_eq!(person.screen.mode, Mode::Looking);
    person.type_in("a");
    person.screen.paste("42\n", person.now);
    assert_eq!(person.screen.mode, Mode::Number(String::new()));
    person.type_in("n");
    person.screen.paste("\n-b\u{202e}\n", person.now);
    let named = Mode::Name("web-1.example-b".to_owned(), Next::Number);
    assert_eq!(person.screen.mode, named);
}

#[test]
fn in_a_window_too_small_to_see_everything_nothing_is_approved() {
    let prompt = sample::pinned();
    for size in [Size::new(59, 15), Size::new(60, 14)] {
        let mut person = Person::before(&prompt);
        person.size = size;
        assert_eq!(person.type_in("a"), None);
        assert_eq!(person.type_in("d"), deny(&prompt));
    }
    let mut person = Person::before(&prompt);
    person.size = SMALL;
    assert_eq!(person.type_in("a"), approve(&prompt, None, None));
}

#[test]
fn what_is_not_all_on_the_screen_is_not_approved() {
    let (two, seven) = (sample::hops(2), sample::hops(7));
    let mut person = Person::before(&two);
    person.size = SMALL;
    let approved = |prompt| approve(prompt, Some("42"), Some("web-1.example"));
    assert_eq!(person.type_in("a42\n"), approved(&two));

    let mut person = Person::before(&seven);
    person.size = SMALL;
    assert_eq!(person.type_in("a42\n"), None);
    assert_eq!(person.screen.mode, Mode::Looking);
    assert_eq!(person.type_in("d"), deny(&seven));

    // Made smaller while the number is typed.
    let mut person = Person::before(&seven);
    assert_eq!(person.type_in("a42"), None);
    person.size = SMALL;
    assert_eq!(person.type_in("\n"), None);
    assert!(person.sees().contains("do not fit"), "{}", person.sees());
    person.size = USUAL;
    assert_eq!(person.type_in("\n"), approved(&seven));
}

#[test]
fn a_denial_with_consequences_needs_two_different_keys() {
    let prompt = sample::pinned();
    for (key, after, asks) in [
        ("b", After::Block, "block for an hour: /usr/bin/git?"),
        ("x", After::NotMe, "until resumed: laptop?"),
    ] {
        let mut person = Person::before(&prompt);
        for not_yet in [key, key, "a", "d", "q", "\n", "\t"] {
            assert_eq!(person.type_in(not_yet), None, "{not_yet:?}");
        }
        assert!(person.sees().contains(asks), "{}", person.sees());
        let denied = Some(Act::Decide(prompt.request, Decision::Deny(after)));
        assert_eq!(person.type_in("y"), denied);
        assert_eq!(person.type_in("y"), None, "once");

        let mut person = Person::before(&prompt);
        assert_eq!(person.type_in(&format!("{key}\u{1b}d")), deny(&prompt));
    }
}

#[test]
fn a_changed_host_can_be_blocked_and_be_not_mine() {
    let prompt = sample::changed();
    for (keys, after) in [("by", After::Block), ("xy", After::NotMe)] {
        let denied = Some(Act::Decide(prompt.request, Decision::Deny(after)));
        assert_eq!(Person::before(&prompt).type_in(keys), denied);
    }
}

/// Three requests of one burst, and one that does not belong to it.
fn burst(prompt: &Prompt) -> (Person, [Prompt; 3]) {
    let three = [1, 2, 3].map(|id| sample::again(prompt, id));
    let other = sample::again(&sample::git(), 4);
    let mut person = Person::facing(&[&three[..], &[other]].concat());
    let id = |id: u8| RequestId([id; 16]);
    for (one, others) in [(1, [2, 3]), (2, [1, 3]), (3, [1, 2])] {
        person.model.take(News::Together(id(one), &others.map(id)));
    }
    (person, three)
}

#[expect(clippy::unnecessary_wraps, reason = "compared with what a key does")]
fn together(three: &[Prompt], decision: Decision) -> Option<Act> {
    let requests = three.iter().map(|prompt| prompt.request).collect();
    Some(Act::DecideTogether(requests, decision))
}

#[test]
fn a_burst_is_answered_together_once_it_was_seen() {
    let yes = Decision::Approve {
        number: None,
        name: None,
    };
    for (key, decision) in [("a", yes), ("d", Decision::Deny(After::Nothing))] {
        let (mut person, three) = burst(&sample::pinned());
        assert!(
            person.sees().contains("3 wait together"),
            "{}",
            person.sees()
        );
        assert_eq!(person.type_in("t"), None);
        assert!(person.screen.is_unseen(), "not drawn yet");
        assert_eq!(person.type_in(key), None);
        person.sees_it();
        assert!(
            person.sees().contains("3 requests at once"),
            "{}",
            person.sees()
        );
        assert_eq!(person.type_in(key), together(&three, decision));
    }
}

#[test]
fn one_of_a_burst_can_be_answered_alone() {
    let (mut person, three) = burst(&sample::pinned());
    assert_eq!(person.type_in("a"), approve(&three[0], None, None));

    let (mut person, three) = burst(&sample::pinned());
    person.type_in("t");
    person.sees_it();
    assert_eq!(person.type_in("\u{1b}"), None);
    assert_eq!(person.type_in("d"), None, "just appeared");
    person.sees_it();
    assert_eq!(person.type_in("d"), deny(&three[0]));
}

#[test]
fn a_burst_that_needs_the_number_gets_it_once() {
    let (mut person, three) = burst(&sample::new());
    person.type_in("t");
    person.sees_it();
    let decision = Decision::Approve {
        number: Number::parse("42"),
        name: PinName::parse("web-1.example").ok(),
    };
    assert_eq!(person.type_in("a42\n"), together(&three, decision));
}

#[test]
fn what_joins_a_burst_after_it_was_seen_is_not_answered_with_it() {
    let (mut person, three) = burst(&sample::pinned());
    person.type_in("t");
    person.sees_it();
    let late = sample::again(&sample::pinned(), 5);
    person.model.take(News::Asked(&late));
    let others = [2, 3, 5].map(|id| RequestId([id; 16]));
    person.model.take(News::Together(three[0].request, &others));
    person.screen.follow(&person.model);
    let denied = Decision::Deny(After::Nothing);
    assert_eq!(person.type_in("d"), together(&three, denied));
}

#[test]
fn what_leaves_a_burst_is_not_answered_and_the_last_one_is_alone() {
    let (mut person, three) = burst(&sample::pinned());
    person.type_in("t");
    person.sees_it();
    person.withdrawn(&three[1]);
    assert!(
        person.sees().contains("2 requests at once"),
        "{}",
        person.sees()
    );
    person.withdrawn(&three[2]);
    assert!(!person.sees().contains("at once"), "{}", person.sees());
    assert_eq!(person.type_in("a"), approve(&three[0], None, None));

    // The one on the screen goes: another takes its place, alone and unseen.
    let (mut person, three) = burst(&sample::pinned());
    person.type_in("t");
    person.sees_it();
    person.withdrawn(&three[0]);
    assert!(person.screen.is_unseen());
    assert_eq!(person.type_in("a"), None);
    person.sees_it();
    assert_eq!(person.type_in("a"), approve(&three[1], None, None));
}

#[test]
fn a_burst_that_does_not_fit_is_not_approved() {
    let hosts: Vec<_> = (1..=9).map(sample::at_host).collect();
    let mut person = Person::facing(&hosts);
    let others: Vec<_> = hosts[1..].iter().map(|one| one.request).collect();
    person.model.take(News::Together(hosts[0].request, &others));
    person.type_in("t");
    person.sees_it();
    person.size = SMALL;
    assert_eq!(person.type_in("a"), None);
    assert!(person.sees().contains("do not fit"), "{}", person.sees());
    person.size = USUAL;
    let yes = Decision::Approve {
        number: None,
        name: None,
    };
    assert_eq!(person.type_in("a"), together(&hosts, yes));
}

#[test]
fn the_signer_is_left_with_q_or_control_c_but_not_from_within_a_field() {
    assert_eq!(Person::facing(&[]).type_in("q"), Some(Act::Quit));
    assert_eq!(
        Person::before(&sample::pinned()).type_in("q"),
        Some(Act::Quit)
    );
    let mut person = Person::before(&sample::new());
    assert_eq!(person.type_in("anq"), None);
    person.now = 0;
    let control_c = person.press_with(KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert_eq!(control_c, Some(Act::Quit));
}

#[test]
fn what_is_typed_is_seen() {
    let mut person = Person::before(&sample::new());
    person.type_in("a4");
    assert!(
        person
            .sees()
            .contains("Number: 4_  the number that laptop shows"),
        "{}",
        person.sees()
    );
    assert!(
        !person.sees().contains("Enter approve"),
        "{}",
        person.sees()
    );
    person.type_in("2");
    assert!(person.sees().contains("Enter approve"), "{}", person.sees());
    person.type_in("n2");
    assert!(
        person.sees().contains("Name of this host: web-1.example2_"),
        "{}",
        person.sees()
    );
}
