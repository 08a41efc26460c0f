//! Keyring items: tokenkeep reads and updates the items of each library, each library reads and updates tokenkeep's
//! items, and a new item of tokenkeep has the same attributes, label and encoding as theirs.

use std::collections::BTreeMap;
use std::path::Path;

use tokenkeep::preset::{Names, PlaceKind, Preset};
use tokenkeep::storage::{ItemShape, Keystore, SecretServiceItem};
use tokenkeep_interop::Peer;

use crate::keyring::Keyring;

const ONE: &str = r#"{"Account":{"who":"Zoë 東京 🔑"}}"#;
const TWO: &str = r#"{"Account":{"who":"two"}}"#;
const THREE: &str = r#"{"Account":{"who":"three"}}"#;

/// The words that name an item for a library, and the shape that finds it for tokenkeep.
struct Case {
    peer: Peer,
    read: Vec<String>,
    write: Vec<String>,
    shape: ItemShape,
}

impl Case {
    fn new(peer: Peer, verbs: [&str; 2], words: &[&str], shape: ItemShape) -> Self {
        let with =
            |verb: &str| std::iter::once(verb).chain(words.iter().copied()).map(str::to_owned).collect();
        Self { peer, read: with(verbs[0]), write: with(verbs[1]), shape }
    }

    fn theirs_writes(&self, keyring: &Keyring, content: &str) {
        self.run(keyring, &self.write, content);
    }

    fn theirs_reads(&self, keyring: &Keyring) -> String {
        String::from_utf8(self.run(keyring, &self.read, "")).unwrap()
    }

    fn run(&self, keyring: &Keyring, words: &[String], input: &str) -> Vec<u8> {
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        // Java's logging would print a warning; Python looks for its configuration in the session's home directory.
        self.peer.run(keyring.bus.command("env"), &words, input.as_bytes())
    }

    fn ours(&self, keyring: &Keyring) -> SecretServiceItem {
        SecretServiceItem::shaped(self.shape.clone()).unwrap().on_bus(keyring.bus.address())
    }
}

/// The attributes, label and stored content of the only item in the keyring.
fn only_item(keyring: &Keyring) -> (BTreeMap<String, String>, String, Vec<u8>) {
    keyring.by_hand(async |hand| {
        let found = hand.search(&[]).await;
        assert_eq!(found.len(), 1, "one item in all");
        let attributes = hand.attributes(&found[0]).await.into_iter().collect();
        (attributes, hand.label(&found[0]).await, hand.secret(&found[0]).await)
    })
}

/// Removes the schema that the keyring itself adds, some time after the item was made, to an item without one.
fn unmarked(mut attributes: BTreeMap<String, String>, shape: &ItemShape) -> BTreeMap<String, String> {
    let generic = |schema: &String| schema == "org.freedesktop.Secret.Generic";
    if shape.schema().is_none() && attributes.get("xdg:schema").is_some_and(generic) {
        attributes.remove("xdg:schema");
    }
    attributes
}

/// Both directions: an item that the library made, and an item that tokenkeep made.
fn shared(case: impl Fn(&Path) -> Case) {
    let keyring = Keyring::start();
    let theirs_first = case(&keyring.bus.folder().join("home"));
    let ours = theirs_first.ours(&keyring);
    theirs_first.theirs_writes(&keyring, ONE);
    let (attributes, label, stored) = only_item(&keyring);
    let expected = (unmarked(attributes, &theirs_first.shape), label, stored);
    let read = ours.load().unwrap().expect("their item");
    assert_eq!(read.expose(), ONE.as_bytes(), "theirs, read by ours");
    ours.save(&TWO.into()).unwrap();
    assert_eq!(theirs_first.theirs_reads(&keyring), TWO, "updated by ours, read by theirs");
    theirs_first.theirs_writes(&keyring, THREE);
    assert_eq!(ours.load().unwrap().unwrap().expose(), THREE.as_bytes(), "updated by theirs, read by ours");
    let (attributes, label, _) = only_item(&keyring);
    assert_eq!((unmarked(attributes, &theirs_first.shape), &label), (expected.0.clone(), &expected.1));

    let keyring = Keyring::start();
    let ours_first = case(&keyring.bus.folder().join("home"));
    ours_first.ours(&keyring).save(&ONE.into()).unwrap();
    let (attributes, label, stored) = only_item(&keyring);
    if theirs_first.shape == ours_first.shape {
        assert_eq!(unmarked(attributes, &ours_first.shape), expected.0, "the attributes of a new item");
    }
    assert_eq!(label, expected.1, "the label of a new item");
    assert_eq!(stored, expected.2, "the content of a new item, as it is stored");
    assert_eq!(ours_first.theirs_reads(&keyring), ONE, "ours, read by theirs");
    ours_first.theirs_writes(&keyring, TWO);
    assert_eq!(ours_first.ours(&keyring).load().unwrap().unwrap().expose(), TWO.as_bytes());
    only_item(&keyring);
}

const ITEM: [&str; 2] = ["item-read", "item-write"];

fn of(preset: &str) -> ItemShape {
    let preset: Preset = preset.parse().unwrap();
    match preset.place(&Names::default()).unwrap().kind {
        PlaceKind::Item(shape) => shape,
        other => panic!("{preset} is {other:?}"),
    }
}

fn json(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[test]
fn an_item_of_go_is_shared_with_two_one_or_no_attributes() {
    let two = [("client", "a client"), ("version", "1")];
    for count in 0..=2 {
        let attributes = &two[..count];
        let list: Vec<_> = attributes.iter().map(|(n, v)| format!("[{},{}]", json(n), json(v))).collect();
        let item =
            format!(r#"{{"schema":"an accessor","label":"MSALCache","attributes":[{}]}}"#, list.join(","));
        shared(|_| Case::new(Peer::Go, ITEM, &[&item], ItemShape::go("an accessor", attributes)));
    }
}

#[test]
fn an_item_of_java_is_shared_with_two_or_no_attributes() {
    let two = ["MsalClientID", "a client", "version", "1"];
    let shape = ItemShape::java("a schema", "java's", &[("MsalClientID", "a client"), ("version", "1")]);
    shared(|_| Case::new(Peer::Java, ITEM, &[&["a schema", "java's"][..], &two].concat(), shape.clone()));
    let shape = ItemShape::java("a schema", "java's", &[]);
    shared(|_| Case::new(Peer::Java, ITEM, &["a schema", "java's"], shape.clone()));
}

#[test]
fn an_item_of_the_azure_sdk_for_java_is_shared() {
    for (preset, label) in
        [("azure-identity-java", "MSALCache.nocae"), ("azure-identity-java-cae", "MSALCache.cae")]
    {
        let words = ["msal.cache", label, "MsalClientID", "Microsoft.Developer.IdentityService"];
        shared(|_| Case::new(Peer::Java, ITEM, &words, of(preset)));
    }
}

#[test]
fn an_item_of_python_is_shared_with_the_default_attributes_of_the_library() {
    shared(|home| {
        let path = home.join("cache.bin");
        let item = format!(r#"{{"path":{}}}"#, json(path.to_str().unwrap()));
        Case::new(Peer::Python, ITEM, &[&item], ItemShape::python(path))
    });
}

#[test]
fn an_item_of_python_is_shared_with_given_attributes_and_with_those_of_the_azure_cli() {
    shared(|home| {
        let path = json(home.join("signal").to_str().unwrap());
        let item = format!(r#"{{"path":{path},"schema":"a schema","attributes":{{"one":"1","two":"2"}}}}"#);
        let shape = ItemShape::python_given("a schema", &[("one", "1"), ("two", "2")]);
        Case::new(Peer::Python, ITEM, &[&item], shape)
    });
    shared(|home| {
        let path = json(home.join("msal_token_cache.sig").to_str().unwrap());
        let given = r#""schema":"Microsoft Azure CLI","attributes":{"type":"Token cache"}"#;
        let item = format!(r#"{{"path":{path},{given}}}"#);
        Case::new(Peer::Python, ITEM, &[&item], of("azure-cli-encrypted"))
    });
    shared(|home| {
        let path = json(home.join("msal_token_cache.bin").to_str().unwrap());
        let given = r#""schema":"my_schema_name","attributes":{"my_attr1":"foo","my_attr2":"bar"}"#;
        let item = format!(r#"{{"path":{path},{given}}}"#);
        Case::new(Peer::Python, ITEM, &[&item], of("azure-cli-2.91-encrypted"))
    });
}

#[test]
fn an_item_of_azure_identity_for_python_is_shared_with_and_without_cae() {
    for (preset, cae) in [("azure-identity", "false"), ("azure-identity-cae", "true")] {
        let item = format!(r#"{{"azure":["",{cae}]}}"#);
        shared(|_| Case::new(Peer::Python, ITEM, &[&item], of(preset)));
    }
}

#[test]
fn an_item_of_azure_identity_for_python_is_shared_with_a_cache_name_of_its_own() {
    let preset: Preset = "azure-identity".parse().unwrap();
    let place = preset.place(&Names::default().cache_name("my-tool")).unwrap();
    let PlaceKind::Item(shape) = place.kind else { panic!("an item") };
    shared(|_| Case::new(Peer::Python, ITEM, &[r#"{"azure":["my-tool",false]}"#], shape.clone()));
}

#[test]
fn an_item_of_dotnet_is_shared() {
    const DOTNET: [&str; 2] = ["dotnet-read", "dotnet-write"];
    let item = r#"{"schema":"com.contoso","label":"a label","attributes":{"Version":"1","Product":"apps"}}"#;
    let shape = ItemShape::dotnet("com.contoso", "a label", ("Version", "1"), ("Product", "apps"));
    shared(|_| Case::new(Peer::Python, DOTNET, &[item], shape.clone()));
    const SERVICE: &str = "Microsoft.Developer.IdentityService";
    let item = format!(
        r#"{{"schema":"msal.cache","label":"msal.cache.cae","attributes":{{"MsalClientID":"{SERVICE}","{SERVICE}":"1.0.0.0"}}}}"#
    );
    shared(|_| Case::new(Peer::Python, DOTNET, &[&item], of("azure-identity-dotnet-cae")));
}

#[test]
fn an_item_of_keytar_is_shared_through_the_preset_keytar() {
    shared(|_| Case::new(Peer::Node, ITEM, &["svc", "acc"], ItemShape::js("svc", "acc")));
}

#[test]
fn an_item_of_the_crate_keyring_is_shared() {
    let verbs = ["napi-read", "napi-write"];
    shared(|_| Case::new(Peer::Node, verbs, &["svc", "acc"], ItemShape::keyring_rs("svc", "acc")));
}

#[test]
fn dotnet_still_finds_its_item_after_tokenkeep_updated_it_with_the_shape_of_java() {
    const SERVICE: &str = "Microsoft.Developer.IdentityService";
    let keyring = Keyring::start();
    let item = format!(
        r#"{{"schema":"msal.cache","label":"l","attributes":{{"MsalClientID":"{SERVICE}","{SERVICE}":"1.0.0.0"}}}}"#
    );
    let dotnet =
        Case::new(Peer::Python, ["dotnet-read", "dotnet-write"], &[&item], of("azure-identity-java"));
    dotnet.theirs_writes(&keyring, ONE);
    let before = only_item(&keyring);
    dotnet.ours(&keyring).save(&TWO.into()).unwrap();
    assert_eq!(dotnet.theirs_reads(&keyring), TWO);
    let after = only_item(&keyring);
    assert_eq!((before.0, before.1), (after.0, after.1), "attributes and label are kept");
    // The real Java library also reads the updated item.
    let words = ["item-read", "msal.cache", "l", "MsalClientID", SERVICE];
    assert_eq!(Peer::Java.run(keyring.bus.command("env"), &words, b""), TWO.as_bytes());
}
