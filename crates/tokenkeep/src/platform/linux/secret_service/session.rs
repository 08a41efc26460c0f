//! The encrypted session: only ciphertext crosses the bus.
//!
//! Algorithm `dh-ietf1024-sha256-aes128-cbc-pkcs7` of the [Secret Service specification]: a Diffie-Hellman exchange
//! in the second Oakley group, HKDF-SHA256 without salt or info, AES-128 in CBC mode. It keeps secrets out of bus
//! monitors, logs and core dumps of the bus; it authenticates neither side, which is the bus's task.
//!
//! [Secret Service specification]: https://specifications.freedesktop.org/secret-service-spec/latest/

use aes::Aes128;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use cbc::{Decryptor, Encryptor};
use crypto_bigint::modular::{ConstMontyForm, ConstMontyParams};
use crypto_bigint::{U256, U1024, const_monty_params};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::{Zeroize, Zeroizing};

use crate::Secret;

/// The name of the algorithm.
pub(super) const ALGORITHM: &str = "dh-ietf1024-sha256-aes128-cbc-pkcs7";

/// Bytes in a block of AES, in a key of AES-128, and in the initialisation vector of each secret.
pub(super) const BLOCK: usize = 16;

/// Bytes in a number of the group.
const NUMBER: usize = 128;

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

/// Our side of a key exchange.
pub(super) struct Exchange {
    private: U256,
}

impl Exchange {
    /// Creates a private key. 256 bits are more than twice the strength of the group (RFC 3526, section 8), at a
    /// quarter of the cost of a full-length exponent.
    pub(super) fn begin() -> Result<Self, getrandom::Error> {
        let mut bytes = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *bytes)?;
        Ok(Self { private: U256::from_be_slice(&*bytes) })
    }

    /// Returns the public number for the other side.
    pub(super) fn public(&self) -> [u8; NUMBER] {
        number_bytes(&Element::new(&U1024::from_u8(2)).pow(&self.private).retrieve())
    }

    /// Returns the shared key, and whether every service derives it alike; `None` if the other side's number is not valid.
    ///
    /// A shared number with a leading zero byte, one in 256, has two keys: kwalletd5 and kwalletd6 drop such bytes before
    /// they derive the key, all others keep them.
    pub(super) fn finish(self, theirs: &[u8]) -> Option<(SessionKey, bool)> {
        // Services drop leading zeroes, or add one as in signed big integers.
        let significant = &theirs[theirs.iter().take_while(|byte| **byte == 0).count()..];
        let mut padded = [0; NUMBER];
        padded.get_mut(NUMBER.checked_sub(significant.len())?..)?.copy_from_slice(significant);
        let theirs = U1024::from_be_slice(&padded);
        // With 0, 1 and p - 1 the shared number would be public; larger numbers are not elements.
        let greatest = Group::PARAMS.modulus().as_ref().wrapping_sub(&U1024::from_u8(2));
        if theirs < U1024::from_u8(2) || theirs > greatest {
            return None;
        }
        let mut shared = Element::new(&theirs).pow(&self.private).retrieve();
        let bytes = Zeroizing::new(number_bytes(&shared));
        shared.zeroize();
        let mut key = Zeroizing::new([0; BLOCK]);
        Hkdf::<Sha256>::new(None, &*bytes).expand(&[], &mut *key).ok()?;
        Some((SessionKey(key), bytes[0] != 0))
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.private.zeroize();
    }
}

fn number_bytes(number: &U1024) -> [u8; NUMBER] {
    let mut bytes = [0; NUMBER];
    bytes.copy_from_slice(number.to_be_bytes().as_ref());
    bytes
}

/// The key of one session.
pub(super) struct SessionKey(Zeroizing<[u8; BLOCK]>);

impl SessionKey {
    /// Returns the ciphertext of `content`; each `iv` must be used once.
    pub(super) fn seal(&self, iv: &[u8; BLOCK], content: &[u8]) -> Vec<u8> {
        let cipher = Encryptor::<Aes128>::new((&*self.0).into(), iv.into());
        cipher.encrypt_padded_vec::<Pkcs7>(content)
    }

    /// Decrypts a ciphertext; returns `None` if it was not made with this key.
    pub(super) fn open(&self, iv: &[u8], sealed: &[u8]) -> Option<Secret> {
        let iv: &[u8; BLOCK] = iv.try_into().ok()?;
        let cipher = Decryptor::<Aes128>::new((&*self.0).into(), iv.into());
        let mut content = Zeroizing::new(sealed.to_vec());
        // A padding error reveals nothing: both ends belong to one user.
        let length = cipher.decrypt_padded::<Pkcs7>(&mut content).ok()?.len();
        content.truncate(length);
        Some(Secret::from_zeroizing(content))
    }
}

impl std::fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SessionKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agreed() -> (SessionKey, SessionKey) {
        let (ours, theirs) = (Exchange::begin().unwrap(), Exchange::begin().unwrap());
        let (our_number, their_number) = (ours.public(), theirs.public());
        (ours.finish(&their_number).unwrap().0, theirs.finish(&our_number).unwrap().0)
    }

    #[test]
    fn both_sides_arrive_at_one_key() {
        let (ours, theirs) = agreed();
        assert_eq!(*ours.0, *theirs.0);
    }

    #[test]
    fn what_one_side_seals_the_other_opens() {
        let (ours, theirs) = agreed();
        let sealed = ours.seal(&[7; BLOCK], b"content");
        assert_eq!(theirs.open(&[7; BLOCK], &sealed).unwrap().expose(), b"content");
    }

    #[test]
    fn unfit_numbers_of_the_other_side_are_refused() {
        let modulus = number_bytes(Group::PARAMS.modulus().as_ref());
        let mut below = modulus;
        below[NUMBER - 1] -= 1;
        for unfit in [&[][..], &[0], &[1], &modulus, &below, &[0xff; NUMBER], &[1; NUMBER + 1]] {
            assert!(Exchange::begin().unwrap().finish(unfit).is_none());
        }
        let mut signed = vec![0];
        signed.extend_from_slice(&Exchange::begin().unwrap().public());
        assert!(Exchange::begin().unwrap().finish(&signed).is_some());
    }

    fn bytes<const N: usize>(hex: &str) -> [u8; N] {
        std::array::from_fn(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap())
    }

    /// NIST SP 800-38A, F.2.1.
    #[test]
    fn the_published_example_comes_out() {
        let key = bytes("2b7e151628aed2a6abf7158809cf4f3c");
        let iv: [u8; BLOCK] = bytes("000102030405060708090a0b0c0d0e0f");
        let content: [u8; 64] = bytes(
            "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51\
             30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710",
        );
        let published: [u8; 64] = bytes(
            "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2\
             73bed6b8e3c1743b7116e69e222295163ff1caa1681fac09120eca307586e1a7",
        );
        let key = SessionKey(Zeroizing::new(key));
        let sealed = key.seal(&iv, &content);
        assert_eq!(sealed[..64], published);
        assert_eq!(sealed.len(), 64 + BLOCK, "a whole block of padding");
        assert_eq!(key.open(&iv, &sealed).unwrap().expose(), content);
    }

    #[test]
    fn a_ciphertext_that_is_none_is_refused() {
        let (key, _) = agreed();
        for (iv, sealed) in [(&[0; 16][..], &[0; 15][..]), (&[0; 16], &[]), (&[0; 3], &[0; 16])] {
            assert!(key.open(iv, sealed).is_none());
        }
    }
}
