//! The service's side of the key exchange, with a shared number of the kind that a test wants.

use crypto_bigint::modular::ConstMontyForm;
use crypto_bigint::{U1024, const_monty_params};

/// How the service writes the shared number of a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Number {
    /// Begins with another byte, so that a test counts the same sessions in every run.
    #[default]
    Long,
    /// Begins with a zero byte, which the service drops, like KWallet.
    Short,
    /// Begins with a zero byte, which the service keeps.
    Padded,
}

const_monty_params!(
    Group,
    U1024,
    // RFC 2409, section 6.2.
    "ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74\
     020bbea63b139b22514a08798e3404ddef9519b3cd3a431b302b0a6df25f1437\
     4fe1356d6d51c245e485b576625e7ec6f44c42e9a637ed6b0bff5cb6f406b7ed\
     ee386bfb5a899fa5ae9f24117c4b1fe649286651ece65381ffffffffffffffff"
);

type Element = ConstMontyForm<Group, { U1024::LIMBS }>;

/// Returns the service's public number and the key of the session, with a shared number as wanted.
pub(super) fn agree(theirs: &[u8], wanted: Number) -> ([u8; 128], [u8; 16]) {
    let mut padded = [0; 128];
    padded[128 - theirs.len()..].copy_from_slice(theirs);
    let (theirs, two) = (Element::new(&U1024::from_be_slice(&padded)), Element::new(&U1024::from_u8(2)));
    // Step by step through the private numbers, until one has the shared number that is wanted.
    let (mut public, mut shared) = (two.pow(&U1024::from_u64(77_777)), theirs.pow(&U1024::from_u64(77_777)));
    while (bytes(&shared)[0] == 0) != (wanted != Number::Long) {
        (public, shared) = (public * two, shared * theirs);
    }
    let number = bytes(&shared);
    let significant = number.iter().take_while(|byte| **byte == 0).count();
    let number = if wanted == Number::Short { &number[significant..] } else { &number[..] };
    let mut key = [0; 16];
    hkdf::Hkdf::<sha2::Sha256>::new(None, number).expand(&[], &mut key).expect("a short key");
    (bytes(&public), key)
}

fn bytes(element: &Element) -> [u8; 128] {
    element.retrieve().to_be_bytes().as_ref().try_into().expect("128 bytes")
}
