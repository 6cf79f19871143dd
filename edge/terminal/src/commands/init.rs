//! `vmux-signer init`

use serde_json::json;

use super::Desktop;
use super::key::add_with;
use crate::cli::Init;
use crate::config::{check_name, name_of_this_computer};
use crate::failure::CommandFailed;
use crate::keyfile::seal;
use crate::passphrase::Passphrase;
use crate::secret_key::{KeyType, SecretKey};
use crate::store::StoreRefused;

pub(super) fn init(desktop: &Desktop<'_>, init: &Init) -> Result<(), CommandFailed> {
    let name = init.name.clone().unwrap_or_else(name_of_this_computer);
    check_name(&name).map_err(|refused| CommandFailed::new(refused, "choose another --name"))?;
    // Before a passphrase is asked for in vain.
    match desktop.store.open() {
        Ok(opened) => {
            drop(opened);
            return Err(StoreRefused::SetUpBefore {
                dir: desktop.store.path().to_owned(),
            }
            .into());
        }
        Err(StoreRefused::NotSetUp { .. }) => {}
        Err(refused) => return Err(refused.into()),
    }
    let passphrase = Passphrase::choose(desktop.passphrase_file.as_deref())?;
    let check = SecretKey::generate(KeyType::Ed25519)?;
    let check = seal(
        &check,
        "tells the right passphrase from a wrong one",
        &passphrase,
    )?;
    desktop.store.set_up(&name, &check)?;
    let state_dir = desktop.store.path().display().to_string();
    let event = json!({ "event": "done", "name": name, "state_dir": state_dir });
    let next = match &init.first_key {
        Some(_) => "next: `vmux-signer pair LINK`",
        None => "next: `vmux-signer key new --label NAME`, then `vmux-signer pair LINK`",
    };
    desktop.output.tell(&event, |paint| {
        format!(
            "{} {name} keeps its state in {state_dir}\n{next}",
            paint.green("done:")
        )
    })?;
    match &init.first_key {
        Some(label) => {
            let key = SecretKey::generate(KeyType::EcdsaP256)?;
            add_with(desktop, label, &key, &passphrase)
        }
        None => Ok(()),
    }
}
