//! `vmux-agent trace` and `metrics`: where the time went.
use std::path::Path;

use vmux_host::output::{Output, Paint};

use super::Failure;
use super::ask::{self, broken};
use crate::control::{Reply, Request, Traced, WireBroken};

/// Shows the stages of the requests whose ids begin so; of the last one by default.
pub(super) async fn trace(
    state_dir: &Path,
    id: Option<&str>,
    output: &Output,
) -> Result<(), Failure> {
    let request = Request::Trace {
        request: id.unwrap_or_default().to_lowercase(),
    };
    let Reply::Traces { traces } = asked(state_dir, &request).await? else {
        return Err(broken(WireBroken::NotUnderstood));
    };
    let skipped = match id {
        Some(_) => 0,
        None => traces.len().saturating_sub(1),
    };
    let wanted = traces.get(skipped..).unwrap_or_default();
    if wanted.is_empty() {
        let what = "the running agent remembers no such request";
        return Err(Failure::new(
            what,
            "it keeps the last 256; see `vmux-agent log`",
        ));
    }
    for one in wanted {
        output.tell(one, |paint| human(one, paint))?;
    }
    Ok(())
}

/// Prints the numbers of the running agent as Prometheus reads them.
pub(super) async fn metrics(state_dir: &Path, output: &Output) -> Result<(), Failure> {
    let Reply::Metrics { text } = asked(state_dir, &Request::Metrics).await? else {
        return Err(broken(WireBroken::NotUnderstood));
    };
    let told = serde_json::json!({ "event": "metrics", "text": text });
    Ok(output.tell(&told, |_| text.trim_end().to_owned())?)
}

async fn asked(state_dir: &Path, request: &Request) -> Result<Reply, Failure> {
    let mut wire = ask::ask(state_dir, request).await?;
    ask::reply(&mut wire).await
}

fn human(one: &Traced, paint: Paint) -> String {
    let outcome = one.outcome.as_deref().unwrap_or("waits");
    let mut lines = vec![format!(
        "{}  {}: {outcome}",
        paint.dim(&one.request),
        one.what
    )];
    let micros = |micros: u64| {
        let (whole, rest) = (micros / 1000, micros % 1000);
        format!("{whole:>8}.{rest:03} ms")
    };
    for stage in &one.stages {
        lines.push(format!("  {:<10}{}", stage.stage, micros(stage.micros)));
    }
    let sum = one.stages.iter().map(|stage| stage.micros).sum();
    lines.push(format!("  {:<10}{}", "together", micros(sum)));
    lines.join("\n")
}
