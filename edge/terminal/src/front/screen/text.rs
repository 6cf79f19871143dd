//! Text that fits where it stands.

use ratatui::text::Span;

/// Columns a text takes on the screen.
pub(super) fn width(text: &str) -> usize {
    Span::raw(text).width()
}

/// The text, or as much of its beginning as fits, with an ellipsis.
pub(super) fn fit(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut used = 0_usize;
    for character in text.chars() {
        used = used.saturating_add(width(character.encode_utf8(&mut [0; 4])));
        // One column is for the ellipsis.
        if used >= columns {
            break;
        }
        kept.push(character);
    }
    kept.push('…');
    kept
}

/// The parts joined by arrows, in lines that fit; a part stays whole unless it is longer than a line.
pub(super) fn path(parts: &[String], columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for part in parts {
        let joined = lines.last().map(|line| format!("{line} → {part}"));
        match (joined, lines.last_mut()) {
            (Some(joined), Some(line)) if width(&joined) <= columns => *line = joined,
            (Some(_), _) => lines.push(fit(&format!("→ {part}"), columns)),
            (None, _) => lines.push(fit(part, columns)),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_stays_and_what_does_not_ends_in_an_ellipsis() {
        assert_eq!(fit("web-1", 5), "web-1");
        assert_eq!(fit("web-10", 5), "web-…");
        assert_eq!(fit("日本語", 6), "日本語");
        assert_eq!(fit("日本語", 5), "日本…");
        assert_eq!(fit("日本語", 4), "日…");
    }

    #[test]
    fn a_path_breaks_between_its_parts() {
        let parts = ["one", "two", "three"].map(str::to_owned);
        assert_eq!(path(&parts, 40), ["one → two → three"]);
        assert_eq!(path(&parts, 9), ["one → two", "→ three"]);
        assert_eq!(path(&parts, 5), ["one", "→ two", "→ th…"]);
    }
}
