//! The arguments of the calls to the Secret Service, all in one type.
//!
//! zbus compiles the path of a call to the socket again for each type of a body, ten kilobytes each time. One type
//! needs one copy.

use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;

use serde_bytes::Bytes;
use zbus::export::serde::{Serialize, Serializer};
use zbus::wire::{DynamicType, Fd, ObjectPath, OwnedObjectPath, Signature, Type, Variant};

/// The names and values of attributes, by which items are found.
pub(super) type Attributes<'a> = BTreeMap<&'a str, &'a str>;

/// Builds a map of names and values. `from` and `collect` would sort first, with five kilobytes of code.
pub(super) fn attributes<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Attributes<'a> {
    let mut attributes = Attributes::new();
    attributes.extend(pairs);
    attributes
}

/// The properties of a new item or collection.
pub(super) type Properties<'a> = BTreeMap<&'static str, Variant<'a>>;

/// A secret on the bus: session, initialisation vector, ciphertext, content type.
pub(super) type Sealed<'a> = (ObjectPath<'a>, &'a Bytes, &'a Bytes, &'a str);

/// The arguments of one call.
#[derive(Debug)]
pub(super) enum Body<'b> {
    Nothing,
    Text(&'b str),
    Texts(&'b str, &'b str),
    Path(ObjectPath<'b>),
    Paths(&'b [OwnedObjectPath]),
    Attributes(&'b Attributes<'b>),
    Algorithm(&'b str, Variant<'b>),
    Secret(Sealed<'b>),
    NewItem(Properties<'b>, Sealed<'b>, bool),
    NewCollection(Properties<'b>, &'b str),
    Retrieval(BorrowedFd<'b>, Properties<'b>),
}

impl Serialize for Body<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Nothing => ().serialize(serializer),
            Self::Text(text) => (text,).serialize(serializer),
            Self::Texts(one, other) => (one, other).serialize(serializer),
            Self::Path(path) => (path,).serialize(serializer),
            Self::Paths(paths) => (paths,).serialize(serializer),
            Self::Attributes(attributes) => (attributes,).serialize(serializer),
            Self::Algorithm(name, input) => (name, input).serialize(serializer),
            Self::Secret(secret) => (secret,).serialize(serializer),
            Self::NewItem(properties, secret, replace) => (properties, secret, replace).serialize(serializer),
            Self::NewCollection(properties, alias) => (properties, alias).serialize(serializer),
            Self::Retrieval(pipe, options) => (Fd::from(*pipe), options).serialize(serializer),
        }
    }
}

impl DynamicType for Body<'_> {
    fn signature(&self) -> Signature {
        match self {
            Self::Nothing => of::<()>(),
            Self::Text(_) => of::<(&str,)>(),
            Self::Texts(..) => of::<(&str, &str)>(),
            Self::Path(_) => of::<(ObjectPath<'_>,)>(),
            Self::Paths(_) => of::<(&[OwnedObjectPath],)>(),
            Self::Attributes(_) => of::<(Attributes<'_>,)>(),
            Self::Algorithm(..) => of::<(&str, Variant<'_>)>(),
            Self::Secret(_) => of::<(Sealed<'_>,)>(),
            Self::NewItem(..) => of::<(Properties<'_>, Sealed<'_>, bool)>(),
            Self::NewCollection(..) => of::<(Properties<'_>, &str)>(),
            Self::Retrieval(..) => of::<(Fd<'_>, Properties<'_>)>(),
        }
    }
}

fn of<T: Type>() -> Signature {
    T::SIGNATURE.clone()
}
