//! AES-128 in CBC mode (NIST SP 800-38A, 6.2) with the padding of PKCS #7, for secrets of megabytes.
//!
//! The cipher itself is the crate aes's. The general-purpose crate for this mode works byte by byte in a build that is
//! optimised for size, which took longer than the cipher; this takes 16 bytes as one number, and goes over the bytes once.
//! Whether the padding is right tells nobody anything who could not read the content: both ends are one user's.

use aes::cipher::consts::U16;
use aes::cipher::{
    BlockCipherDecrypt, BlockCipherEncBackend, BlockCipherEncClosure, BlockCipherEncrypt, BlockSizeUser,
    KeyInit,
};
use aes::{Aes128Dec, Aes128Enc, Block};
use wide::u8x16;
use zeroize::{Zeroize, Zeroizing};

/// Bytes in a block of AES, in a key of AES-128, and in the initialisation vector that goes with each secret.
pub(super) const BLOCK: usize = 16;

/// Blocks worked on at a time: enough for every processor's parallel instructions, and few enough to stay in its cache.
const RUN: usize = 64;

/// The ciphertext of `content`.
pub(super) fn encrypt(key: &[u8; BLOCK], iv: &[u8; BLOCK], content: &[u8]) -> Vec<u8> {
    let (blocks, rest) = content.as_chunks::<BLOCK>();
    // Always some, so that it can be told from content.
    let padding = BLOCK - rest.len();
    let mut last = [padding.to_le_bytes()[0]; BLOCK];
    last[..rest.len()].copy_from_slice(rest);
    let mut sealed = Vec::with_capacity(content.len() + BLOCK);
    let chain = Chain { iv: u8x16::new(*iv), blocks, last: &last, sealed: &mut sealed };
    Aes128Enc::new(key.into()).encrypt_with_backend(chain);
    last.zeroize();
    sealed
}

/// The encryption of one block after another, as what the crate aes runs with the processor's instructions at hand. Each
/// block waits for the one before, so that a way through memory between two of them would take as long as the cipher:
/// asking for one block at a time took 8.4 ms for 5 MB, this takes 4.4.
struct Chain<'c> {
    iv: u8x16,
    blocks: &'c [[u8; BLOCK]],
    last: &'c [u8; BLOCK],
    sealed: &'c mut Vec<u8>,
}

impl BlockSizeUser for Chain<'_> {
    type BlockSize = U16;
}

impl BlockCipherEncClosure for Chain<'_> {
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = U16>>(self, backend: &B) {
        let mut chain = self.iv;
        let mut run = [[0; BLOCK]; RUN];
        for blocks in self.blocks.chunks(RUN).chain([std::slice::from_ref(self.last)]) {
            for (block, sealed) in blocks.iter().zip(&mut run) {
                let mut linked = Block::from((u8x16::new(*block) ^ chain).to_array());
                backend.encrypt_block((&mut linked).into());
                *sealed = linked.into();
                chain = u8x16::new(*sealed);
            }
            self.sealed.extend_from_slice(run[..blocks.len()].as_flattened());
        }
    }
}

/// The content of a ciphertext; `None` when it is none, or was made with another key.
pub(super) fn decrypt(key: &[u8; BLOCK], iv: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut chain = u128::from_ne_bytes(iv.try_into().ok()?);
    let (blocks, rest) = Block::slice_as_chunks(sealed);
    if !rest.is_empty() {
        return None;
    }
    let cipher = Aes128Dec::new(key.into());
    let mut run = Zeroizing::new([[0; BLOCK]; RUN]);
    // No larger than it ever becomes: growing would leave a copy behind.
    let mut content = Zeroizing::new(Vec::with_capacity(sealed.len()));
    for sealed in blocks.chunks(RUN) {
        let opened = &mut run[..sealed.len()];
        cipher.decrypt_blocks_b2b(sealed, Block::cast_slice_from_core_mut(opened)).ok()?;
        for (opened, sealed) in opened.iter_mut().zip(sealed) {
            *opened = (u128::from_ne_bytes(*opened) ^ chain).to_ne_bytes();
            chain = u128::from_ne_bytes((*sealed).into());
        }
        content.extend_from_slice(opened.as_flattened());
    }
    let padding = usize::from(*content.last()?);
    let length = content.len().checked_sub(padding)?;
    let padded =
        (1..=BLOCK).contains(&padding) && content[length..].iter().all(|byte| usize::from(*byte) == padding);
    content.truncate(length);
    padded.then_some(content)
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let sealed = encrypt(&key, &iv, &content);
        assert_eq!(sealed[..64], published);
        assert_eq!(sealed.len(), 64 + BLOCK, "a whole block of padding");
        assert_eq!(**decrypt(&key, &iv, &sealed).unwrap(), content);
    }

    #[test]
    fn content_of_every_length_comes_back() {
        let (key, iv) = ([3; BLOCK], [7; BLOCK]);
        for length in (0..40).chain([RUN * BLOCK - 1, RUN * BLOCK, RUN * BLOCK + 1, 4096, 100_001]) {
            let content: Vec<u8> = (0..=255).cycle().take(length).collect();
            let sealed = encrypt(&key, &iv, &content);
            assert_eq!(sealed.len(), (length / BLOCK + 1) * BLOCK);
            assert_eq!(**decrypt(&key, &iv, &sealed).unwrap(), content);
        }
    }

    #[test]
    fn wrong_padding_is_refused() {
        let (key, iv) = ([3; BLOCK], [7; BLOCK]);
        // The last byte of the vector changes the last byte of the only block: 15 bytes of padding become 14, 0 and 17.
        let sealed = encrypt(&key, &iv, b"x");
        for difference in [15 ^ 14, 15, 15 ^ 17] {
            let mut other = iv;
            other[BLOCK - 1] ^= difference;
            assert!(decrypt(&key, &other, &sealed).is_none(), "{difference}");
        }
        assert!(decrypt(&key, &iv, &sealed).is_some());
        let mut within = iv;
        within[5] ^= 1;
        assert!(decrypt(&key, &within, &sealed).is_none());
    }
}
